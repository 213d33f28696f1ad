"""trtexec's line: shapes of an open batch, float32 without TF32."""

import dataclasses
import os
import subprocess

from anomedge.serving.trtexec import Trtexec, engine_command


def test_an_open_batch_has_a_profile(planes):
    words = engine_command(planes, "a.onnx", "a.plan").split()
    assert words[:4] == [
        "trtexec", "--onnx=a.onnx", "--saveEngine=a.plan", "--noTF32",
    ]  # fmt: skip
    assert words[4:] == [
        "--minShapes=images:1x3x96x128",
        "--optShapes=images:1x3x96x128",
        "--maxShapes=images:8x3x96x128",
    ]


def test_other_precisions_are_those_of_the_types(planes):
    half = dataclasses.replace(planes, precision="fp16")
    words = engine_command(half, "a", "b").split()
    # Float32 parts of the graph stay float32.
    assert {"--stronglyTyped", "--noTF32"} <= set(words)


def test_the_script_calls_trtexec_beside_the_graph(planes, tmp_path):
    Trtexec.write(planes, tmp_path / "out")
    fake = tmp_path / "trtexec"
    fake.write_text('#!/bin/sh\nls; echo "$@"\n')
    fake.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    # A folder of the same name is where CDPATH leads.
    (tmp_path / "elsewhere" / "out").mkdir(parents=True)
    done = subprocess.run(
        ["sh", "out/build.sh"],
        cwd=tmp_path,
        env={"PATH": path, "CDPATH": str(tmp_path / "elsewhere")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert planes.onnx_file() in done.stdout.splitlines()
    assert f"--onnx={planes.onnx_file()}" in done.stdout
