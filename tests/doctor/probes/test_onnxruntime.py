"""Providers are tried, not only listed; a silent fallback is a fault."""

import pytest

from anomedge.doctor import vendor
from anomedge.doctor.probes import onnxruntime as module
from anomedge.doctor.probes.onnxruntime import OnnxRuntime
from tests.doctor.fakes import look

CPU, CUDA, TRT = (
    f"{name}ExecutionProvider" for name in ("CPU", "CUDA", "Tensorrt")
)


class Vendor:
    __version__ = "1.23.0"

    @staticmethod
    def get_available_providers():
        return [TRT, CUDA, "AzureExecutionProvider", CPU]

    class InferenceSession:
        def __init__(self, content, providers):
            if providers == [TRT]:
                assert content
                raise RuntimeError("libnvinfer.so.10:\ncannot open")

        def get_providers(self):
            return [CPU]


def test_listed_providers_that_do_not_work(monkeypatch):
    monkeypatch.setattr(module, "import_onnxruntime", lambda: Vendor)
    found = look(OnnxRuntime)
    assert found["ONNX Runtime"].value == "1.23.0, imports"
    assert found[CPU].state == "present"
    assert "falls back to CPUExecutionProvider" in found[CUDA].value
    assert found[TRT].value == "listed, fails: libnvinfer.so.10: cannot open"
    assert {found[CUDA].state, found[TRT].state} == {"broken"}
    assert "AzureExecutionProvider" not in found


def test_the_real_one_opens_on_the_cpu():
    pytest.importorskip("onnxruntime")
    assert look(OnnxRuntime)[CPU].state == "present"


def test_one_that_does_not_load_and_none(monkeypatch):
    def fail():
        raise ImportError("numpy 2")

    monkeypatch.setattr(module, "import_onnxruntime", fail)
    assert "does not load: numpy 2" in look(OnnxRuntime)["ONNX Runtime"].value
    monkeypatch.setattr(vendor, "is_installed", lambda name: False)
    assert look(OnnxRuntime)["ONNX Runtime"].state == "absent"
