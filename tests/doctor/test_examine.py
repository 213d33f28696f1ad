"""A diagnosis holds every probe's findings, what opens, and the missing libraries; nothing crashes with a vendor."""

import json

import pytest

from anomedge.bundle import Bundle
from anomedge.doctor import examine as module
from anomedge.doctor.examine import Diagnosis, examine
from anomedge.doctor.opening import Opening
from anomedge.doctor.processes import Answer
from anomedge.errors import RuntimeMissing
from anomedge.runtimes import Choice


@pytest.fixture
def answers(monkeypatch):
    """What the probes say; a broken TensorRT, and a GPU under OpenVINO."""
    findings = {
        "tensorrt": ("TensorRT", "libnvinfer.so.10 is missing", "broken"),
        "openvino": ("device GPU.0", "Iris", "present"),
        "nvidia": ("GPU", "no driver", "absent"),
    }

    def ask(arguments, seconds):
        name = arguments[1]
        if name == "graphics":
            return Answer((), "its process ended by SIGABRT", ())
        keys = ("title", "value", "state")
        found = findings.get(name, ("x", "y", "present"))
        line = {"doctor": dict(zip(keys, found, strict=True))}
        missing = {"tensorrt": "libnvinfer.so.10", "nvidia": "libcuda.so.1"}
        return Answer((line,), "", tuple(filter(None, [missing.get(name)])))

    monkeypatch.setattr(module, "ask", ask)
    asked = []

    def open_everywhere(source, precision, seconds, devices):
        asked.append((source, precision, list(devices)))
        return [Opening("openvino", None, opens=True, milliseconds=1.0)]

    monkeypatch.setattr(module, "open_everywhere", open_everywhere)
    return asked


def test_a_device_alone(answers):
    found = examine(None)
    assert found.works
    assert found.missing == ["libnvinfer.so.10"]
    assert found.findings["TensorRT"][0].state == "broken"
    [crash] = found.findings["graphics and NPU device files"]
    assert (crash.value, crash.state) == (
        "its process ended by SIGABRT",
        "broken",
    )
    [(source, precision, devices)] = answers
    assert (source.name, precision, devices) == ("tiny.onnx", "fp32", ["GPU"])
    assert not source.exists()


def test_a_bundle_is_opened_in_its_precision(answers, bundle_paths):
    bundle = Bundle.open(bundle_paths["padim"])
    content = examine(bundle, "fp16").to_json()
    assert answers[0][:2] == (bundle.path, "fp16")
    assert content["works"]
    assert content["openings"][0]["speed"] == "fastest"
    assert "openings" in json.loads(json.dumps(content))


def test_a_runtime_that_is_measured_to_be_faster_is_named():
    rows = [
        Opening("onnxruntime", None, opens=True, milliseconds=1.0),
        Opening("openvino", None, opens=True, milliseconds=2.0),
    ]
    slow, fast = (
        Choice(name, None, "") for name in ("openvino", "onnxruntime")
    )
    assert Diagnosis("b", "int8", {}, rows, [], slow).faster == "onnxruntime"
    assert Diagnosis("b", "fp32", {}, rows, [], fast).faster == ""
    assert Diagnosis("", "fp32", {}, rows, [], slow).faster == ""


def test_a_device_without_a_runtime_says_so(answers, monkeypatch):
    def none(precision):
        raise RuntimeMissing("no runtime")

    monkeypatch.setattr(module.runtimes, "choice_here", none)
    found = examine(None)
    assert (found.choice, found.no_choice) == (None, "no runtime")
    assert found.to_json()["choice"] == "no runtime"
