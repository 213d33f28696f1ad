"""The check of a machine with a GPU, on one without: the whole of it on the CPU's runtimes, and what it says of the rest."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from anomedge import runtimes
from anomedge.errors import RuntimeMissing
from anomedge.runtimes.ort import OrtSession
from tests.conftest import FRAME
from tests.runtimes.nvidia.conftest import ort_gpu as machine  # noqa: F401 - a fixture

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")


def asked(bundle, device="cpu", which=slice(None), **more):
    from _gpu.targets import TARGETS

    targets = [vars(target) for target in TARGETS[device][which]]
    given = {
        "model": None,
        "images": [],
        "precision": "fp32",
        "batches": [1, 2],
        "rounds": 2,
        "threads": 1,
        "probe": None,
    }
    return given | {"bundle": str(bundle), "targets": targets} | more


def rows_of(page, heading):
    part = page.split(heading)[1].split("\n#")[0]
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in part.splitlines()
        if line.startswith("| ")
    ]


def checked(given, folder, capsys):
    """The page and the report of a run on the CPU's runtimes that passes."""
    import gpu_check

    output = folder / "results" / "cpu.md"
    more = (
        "--device cpu --batch 1 2 --rounds 2 --threads 1 --precision fp32 tf32"
    )
    assert (
        gpu_check.main([*map(str, given), "-o", str(output), *more.split()])
        == 0
    )
    page = output.read_text()
    assert page in capsys.readouterr().out and "all that ran passed" in page
    return page, json.loads(output.with_suffix(".json").read_text())


@pytest.mark.slow
def test_every_step_on_the_cpu(bundle_paths, tmp_path, capsys):
    page, report = checked([bundle_paths["patchcore"]], tmp_path, capsys)
    parity = rows_of(page, "### Parity")[1:]
    assert [row[:3] for row in parity[:4]] == [
        [f"{name} CPU", "fp32", batch]
        for name in ("ONNX Runtime", "OpenVINO")
        for batch in ("1", "2")
    ]
    assert {row[-1] for row in parity[:4]} == {"passed"}
    assert (
        all(
            "not run: " in row[-1] and "tf32" in row[-1].lower()
            for row in parity[4:]
        )
        and len(parity) == 6
    )
    latency = rows_of(page, "### Latency")[1:]
    assert all(
        float(row[3]) > 0 and row[6:8] == ["-", "-"] for row in latency[:4]
    )
    assert [row[-1][:8] for row in latency[4:]] == ["not run:"] * 2
    assert "against golden frames" in page and "give --model" in page
    assert [
        timing["calls"] for timing in report["checks"][0]["rows"][0]["timings"]
    ] == [6, 6]
    assert (
        report["ceilings"]["flops"]["fp32"] > 1e8
        and report["ceilings"]["bytes"] > 1e8
    )


@pytest.mark.slow
def test_every_step_with_the_model(bundle_paths, model_paths, tmp_path, capsys):
    page, report = checked(
        [bundle_paths["padim"], "--model", model_paths["padim"]],
        tmp_path,
        capsys,
    )
    assert "against eager torch" in page
    assert all(
        float(row[6]) > 0 and row[7].endswith("%")
        for row in rows_of(page, "### Latency")[1:5]
    )
    limits = report["checks"][0]["limits"]
    assert 0 < limits["1"] < limits["2"]


def test_the_costs_are_those_of_the_models_graph(model_paths):
    from _gpu.roofline import parts_of

    parts = parts_of(model_paths["padim"], FRAME, [1, 2])
    assert (parts[1][0].name, parts[1][-1].name) == ("preprocessed", "score")
    for one, two in zip(parts[1], parts[2], strict=True):
        assert (two.name, two.flops) == (one.name, 2 * one.flops)
        assert one.bytes < two.bytes <= 2 * one.bytes


def test_without_a_device_every_row_says_so(monkeypatch, capsys):
    import gpu_check

    monkeypatch.setattr(gpu_check, "missing", lambda device: "no CUDA device")
    monkeypatch.setattr(gpu_check.shutil, "which", lambda name: None)
    assert gpu_check.main([]) == 2
    page = capsys.readouterr().out
    assert "**nothing could run**" in page
    for heading in ("## padim", "## patchcore"):
        for table in ("### Parity", "### Latency"):
            verdicts = [
                row[-1] for row in rows_of(page.split(heading)[1], table)[1:]
            ]
            assert verdicts == ["not run: no CUDA device"] * 12


def test_a_copy_that_decides_otherwise_fails(bundle_paths, monkeypatch):
    from _gpu.alone import check
    from _gpu.table import exit_code, markdown

    run = OrtSession._run
    monkeypatch.setattr(
        OrtSession,
        "_run",
        lambda self, feed: {
            k: v + np.float32(9) for k, v in run(self, feed).items()
        },
    )
    wrong, right = check(asked(bundle_paths["padim"]))
    assert (wrong["passed"], right["passed"]) == (False, True)
    assert "timings" not in wrong and len(right["timings"]) == 2
    entry = {
        "bundle": "b",
        "described": "",
        "roofline": "",
        "precision": "fp32",
        "rows": [wrong, right],
        "limits": {},
    }
    report = {
        "command": "", "when": "", "machine": {}, "versions": {}, "checks": [entry],
        "ceilings": {"through": "", "reason": "none", "flops": {}, "bytes": None, "to_device": None},
    }  # fmt: skip
    assert exit_code(report) == 3
    page = markdown(report)
    assert (
        "**a proof failed**" in page
        and "- ONNX Runtime CPU, fp32: onnxruntime batch 1: score off by"
        in page
    )
    assert (
        page.count("**FAILED**") == 2 and "not timed: its proof failed" in page
    )


def test_a_process_that_ends_is_a_failure(bundle_paths, monkeypatch, capfd):
    import gpu_check

    run = subprocess.run
    monkeypatch.setattr(
        gpu_check.subprocess,
        "run",
        lambda command, **more: run(["false"], check=False),
    )
    assert (
        gpu_check.main(
            [
                str(bundle_paths["padim"]),
                "--device",
                "cpu",
                "--precision",
                "fp32",
            ]
        )
        == 3
    )
    said = capfd.readouterr()
    assert (
        "ended without an answer" in said.out
        and "not measured: its process ended" in said.out
    )
    assert "its process ended with 1" in said.err


def test_what_was_asked_for_wrongly_is_no_failed_proof(
    bundle_paths, model_paths, tmp_path
):
    from _gpu.alone import check

    rows = check(
        asked(bundle_paths["padim"], model=str(model_paths["patchcore"]))
    )
    assert all("is another detector" in row["not_run"] for row in rows)
    rows = check(asked(bundle_paths["padim"], precision="fp16"))
    assert [row["not_run"] for row in rows] == [
        "the bundle has no fp16 variant"
    ] * 2


def test_targets_are_runtimes_that_there_are(tmp_path):
    from _gpu.targets import TARGETS, probe_graph, unavailable

    for targets in TARGETS.values():
        for target in targets:
            try:
                runtimes.get(target.runtime)
            except RuntimeMissing as error:
                assert unavailable(target, "fp32", None) == str(error)
    probe = probe_graph(tmp_path)
    for target in TARGETS["cpu"]:
        assert unavailable(target, "fp32", probe) == ""
        assert "tf32" in unavailable(target, "tf32", probe).lower()
    assert "this build has: " in unavailable(TARGETS["cuda"][0], "fp32", probe)


@pytest.mark.parametrize(
    ("which", "precision"),
    [(slice(0, 2), "fp32"), (slice(0, 1), "tf32"), (slice(1, 2), "tf32")],
)
def test_the_gpus_part_with_a_stand_in(
    machine,  # noqa: F811
    bundle_paths,
    tmp_path,
    which,
    precision,
):
    from _gpu.alone import check
    from _gpu.targets import probe_graph

    probe = str(probe_graph(tmp_path))
    bundle = shutil.copytree(bundle_paths["padim"], tmp_path / "part.anomedge")
    rows = check(asked(bundle, "cuda", which, precision=precision, probe=probe))
    assert [row["passed"] for row in rows] == [True] * len(rows), rows
    assert all(
        row["running_on"]
        in {"CUDAExecutionProvider", "TensorrtExecutionProvider"}
        for row in rows
    )
    assert all(sum(row["nodes"].values()) > 50 for row in rows)
    assert all(len(row["timings"]) == 2 for row in rows)
    machine.listed = ["CPUExecutionProvider"]
    assert all(
        "this build has" in row["not_run"]
        for row in check(asked(bundle, "cuda", which, probe=probe))
    )


def test_the_limit_is_the_slower_of_work_and_bytes():
    from _gpu.roofline import Part, limit

    parts = [
        Part("preprocessed", 1000, 50),
        Part("features/1", 8000, 100),
        Part("score", 0, 10),
    ]
    ceilings = {
        "flops": {"fp32": 1e6, "tf32": 2e6, "fp16": 4e6},
        "bytes": 1e5,
        "to_device": 1e4,
    }
    # 1 + 8 + 0.1 ms, and 10 bytes to the device in 1 ms
    assert limit(parts, 10, "fp32", ceilings) == pytest.approx(10.1)
    # 0.5 + 4 + 0.1 + 1
    assert limit(parts, 10, "tf32", ceilings) == pytest.approx(5.6)
    # the backbone in float16: 1 + max(2, 0.5) + 0.1 + 1
    assert limit(parts, 10, "fp16", ceilings) == pytest.approx(4.1)
    assert limit(parts, 10, "fp16", ceilings | {"flops": {"fp32": 1e6}}) is None
    assert limit(parts, 10, "fp32", ceilings | {"bytes": None}) is None


def test_ceilings_are_measured_without_torch_too():
    from _gpu import ceilings

    for found in (
        ceilings._with_onnxruntime("cpu", 64, 1 << 16),
        ceilings._with_torch("cpu", 64, 1 << 16),
    ):
        assert found["flops"].keys() == {"fp32"}
        assert (
            found["flops"]["fp32"] > 1e6
            and found["bytes"] > 1e6
            and found["to_device"] is None
        )


def test_the_higher_of_two_measurements_is_the_ceiling():
    import gpu_check

    first = {
        "through": "torch",
        "flops": {"fp32": 1.0, "fp16": 8.0},
        "bytes": 5.0,
        "to_device": None,
    }
    second = {
        "through": "torch",
        "flops": {"fp32": 2.0, "fp16": 7.0},
        "bytes": 4.0,
        "to_device": None,
    }
    both = {
        "through": "torch",
        "flops": {"fp32": 2.0, "fp16": 8.0},
        "bytes": 5.0,
        "to_device": None,
    }
    assert (
        gpu_check._higher(first, second)
        == gpu_check._higher(second, first)
        == both
    )
    nothing = {
        "through": "",
        "reason": "none",
        "flops": {},
        "bytes": None,
        "to_device": None,
    }
    assert (
        gpu_check._higher(nothing, second)
        == gpu_check._higher(second, nothing)
        == second
    )


def test_the_script_is_whole():
    script = ROOT / "scripts" / "gpu-check"
    assert script.stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
