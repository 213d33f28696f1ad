"""Only the CPUs that the tests run on count as verified."""

import pytest

from anomedge import runtimes
from anomedge.doctor.unverified import unverified


@pytest.mark.parametrize(
    ("runtime", "running_on", "machine", "part"),
    [
        ("tensorrt", "Orin (cuda:0)", "aarch64", "Orin"),
        ("openvino", "GPU.0", "x86_64", "GPU.0"),
        ("onnxruntime", "CUDAExecutionProvider", "x86_64", "CUDA"),
        ("onnxruntime", "CPUExecutionProvider", "aarch64", "aarch64 board"),
    ],
)
def test_what_no_test_ran_is_named(runtime, running_on, machine, part):
    assert part in unverified(runtime, running_on, machine)


def test_what_every_test_runs_is_not(monkeypatch):
    assert unverified("onnxruntime", "CPUExecutionProvider", "x86_64") == ""
    registry = type("R", (), {"distribution": lambda self, name: "other"})()
    monkeypatch.setattr(runtimes, "registry", registry)
    assert "plugin of other" in unverified("tvm", "CPU", "x86_64")
