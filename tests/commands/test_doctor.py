"""The report in words and as JSON, and its exit code."""

import json

import pytest

from anomedge.commands import doctor as module
from anomedge.doctor.base import Finding
from anomedge.doctor.examine import Diagnosis
from anomedge.doctor.opening import Opening
from anomedge.runtimes.choice import Choice
from tests.commands.running import run

OPENS = Opening(
    "openvino", None, True, "", "2026.4", "CPU", 3.0, 9.0, "never on a board"
)
FAILS = Opening("tensorrt", "gpu", reason="libnvinfer.so.10 is missing")


def diagnosis(*openings, bundle="part.anomedge 0123"):
    findings = {"TensorRT": [Finding("TensorRT", "does not load", "broken")]}
    return Diagnosis(
        bundle,
        "fp32",
        findings,
        list(openings),
        ["libnvinfer.so.10"],
        Choice("openvino", None, "faster on a CPU"),
    )


@pytest.fixture
def found(monkeypatch):
    def give(diagnosed):
        monkeypatch.setattr(module, "examine", lambda *_: diagnosed)

    return give


def test_the_report(found, bundle_paths, capsys):
    found(diagnosis(OPENS, FAILS))
    assert run("doctor", bundle_paths["padim"]) == 0
    text = capsys.readouterr().out
    for part in (
        "broken  TensorRT: does not load",
        "opens   openvino 2026.4 on CPU: 3.00 ms a frame, fastest",
        "no      tensorrt --device gpu: libnvinfer.so.10 is missing",
        "without --runtime\n  runtime: openvino (faster on a CPU)",
        "missing shared libraries: libnvinfer.so.10",
        "never on a board",
        "anomedge verify part.anomedge",
    ):
        assert part in text


def test_no_runtime_is_exit_code_3(found, capsys):
    found(diagnosis(FAILS, bundle=""))
    assert run("doctor", "--json") == 3
    printed = capsys.readouterr()
    assert json.loads(printed.out)["works"] is False
    assert "no runtime opens a graph of one layer" in printed.err


def test_wrong_use_is_exit_code_2(found, tmp_path, capsys):
    found(diagnosis(OPENS))
    assert run("doctor", tmp_path / "none") == 2
    assert run("doctor", "--precision", "int8") == 2
    assert "without a bundle" in capsys.readouterr().err
