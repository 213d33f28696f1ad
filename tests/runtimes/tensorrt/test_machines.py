"""GPUs that a machine lacks or that RTX does not take, and the command that builds engines."""

import json

import pytest

from anomedge import runtimes
from anomedge.errors import DeviceMismatch
from anomedge.runtimes import base
from tests.commands.running import run


def test_named_in_full_and_in_short(machine):
    machine.install("10.3.0")
    machine.install("rtx-1.7.1", "tensorrt_rtx")
    assert (
        runtimes.get("tensorrt") is runtimes.get("trt") is runtimes.get("TRT")
    )
    assert runtimes.get("tensorrt-rtx") is runtimes.get("rtx")
    assert {"tensorrt", "tensorrt-rtx"} <= set(runtimes.installed())


def test_without_a_gpu_the_line_says_why_and_what_to_do(machine, graph):
    machine.install("8.6.1")
    machine.install("rtx-1.7.1", "tensorrt_rtx")
    machine.gpus(reason="no NVIDIA driver: libcuda.so.1")
    with pytest.raises(
        DeviceMismatch,
        match=r"found none \(no NVIDIA driver: libcuda\.so\.1\); install NVIDIA's driver",
    ):
        runtimes.open(graph(), runtime="trt")
    with pytest.raises(
        DeviceMismatch,
        match=r"needs an RTX-class GPU .*anomedge build BUNDLE --runtime rtx",
    ):
        runtimes.open(graph(), runtime="rtx")
    assert machine.trt.journal == machine.cuda.calls == []


def test_rtx_says_which_gpus_it_runs_on(machine, graph):
    machine.install("rtx-1.7.1", "tensorrt_rtx")
    machine.gpus("H200", capability=(9, 0))
    with pytest.raises(
        DeviceMismatch,
        match=r"does not run on H200 \(cuda:0\), compute capability 9\.0",
    ):
        runtimes.open(graph(), runtime="rtx")
    assert (
        runtimes.get("rtx").build(graph(), runtimes.get("rtx").Options()).fresh
    ), "ahead of time, for others"
    machine.gpus("Blackwell", capability=(12, 1))
    runtimes.open(graph(), runtime="rtx").close()
    assert machine.trt.config._capabilities == []


def test_rtx_engines_are_portable_but_for_turing(machine, graph):
    trt = machine.install("rtx-1.7.1", "tensorrt_rtx")
    machine.gpus()
    kind = runtimes.get("rtx")
    built = kind.build(graph(), runtimes.get("rtx").Options())
    assert built.record["fingerprint"]["device"] == {
        "compute_capabilities": "8.0, 8.6, 8.9, 12.0 and later"
    }
    machine.gpus("GeForce RTX 4090", capability=(8, 9))
    runtimes.open(graph(), runtime="rtx").close()
    assert trt.builds == 1
    machine.gpus("GeForce RTX 2080", capability=(7, 5))
    runtimes.open(graph(), runtime="rtx").close()
    assert (trt.builds, trt.config._capabilities) == (2, ["SM75"])
    assert not {
        call
        for call in trt.journal
        if "timing_cache" in call or "hardware" in call
    }


def test_the_command_says_what_it_made(machine, graph, capfd):
    machine.install("10.3.0")
    path = graph()
    assert (
        run(
            "build",
            path,
            "--runtime",
            "trt",
            "--batch",
            "1",
            "8",
            "--tf32",
            "--workspace",
            "512",
        )
        == 0
    )
    shown = " ".join(capfd.readouterr().out.split())
    assert "gpu Fake GPU, compute capability 8.7" in shown
    assert "batches 1 to 8, tuned for 1" in shown
    assert "built in" in shown
    assert machine.trt.config._pools == {"WORKSPACE": 512 << 20}
    assert (
        run(
            "build",
            path,
            "--runtime",
            "trt",
            "--tf32",
            "--workspace",
            "512",
            "--json",
        )
        == 0
    )
    content = json.loads(capfd.readouterr().out)
    assert content["built"] is False
    assert content["runtime"] == "tensorrt"
    assert content["fingerprint"]["batches"] == [1, 1, 8]
    assert (
        run(
            "build",
            path,
            "--runtime",
            "trt",
            "--batch",
            "1",
            "2",
            "4",
            "--json",
            "--force",
        )
        == 0
    )
    assert json.loads(capfd.readouterr().out)["fingerprint"]["batches"] == [
        1,
        2,
        4,
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--runtime", "ort"], "onnxruntime builds no engines"),
        (["--batch", "8", "1"], "smallest <= typical <= largest"),
        (
            ["--runtime", "trt", "--batch", "1", "2", "3", "4"],
            "three numbers at most",
        ),
        (["--device", "npu"], "got device 'npu'"),
        (["--dla", "3"], "have 0 such cores"),
    ],
)
def test_wrong_use_of_the_command(machine, graph, capfd, arguments, said):
    machine.install("10.3.0")
    assert run("build", graph(), *arguments) == 2
    assert said in " ".join(capfd.readouterr().err.split())


def test_nothing_that_builds_is_installed(machine, graph, capfd, monkeypatch):
    monkeypatch.setattr(base, "is_installed", lambda package: False)
    assert run("build", graph()) == 2
    assert "pip install '.[tensorrt]'" in capfd.readouterr().err
