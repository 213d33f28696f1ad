"""Devices with driver and precisions; a device that fails is a fault of its own."""

import pytest

from anomedge.doctor import vendor
from anomedge.doctor.probes import openvino as module
from anomedge.doctor.probes.openvino import OpenVino
from tests.doctor.fakes import look


class Vendor:
    __version__ = "2026.4.1-123-abc"

    class Core:
        available_devices = ("CPU", "NPU", "GPU")

        def get_property(self, device, name):
            if device == "GPU":
                raise RuntimeError("[GPU] no\nOpenCL")
            return {
                "FULL_DEVICE_NAME": "Intel AI Boost",
                "SUPPORTED_PROPERTIES": ["NPU_DRIVER_VERSION", "OTHER"],
                "NPU_DRIVER_VERSION": 1016,
                "OPTIMIZATION_CAPABILITIES": ["FP16", "INT8"],
            }[name]


def test_devices(monkeypatch):
    monkeypatch.setattr(module, "import_openvino", lambda: Vendor)
    found = look(OpenVino)
    assert found["OpenVINO"].value == "2026.4.1, imports"
    expected = "Intel AI Boost, driver 1016, FP16 INT8"
    assert found["device NPU"].value == expected
    assert found["device GPU"].value == "listed, fails: [GPU] no OpenCL"
    assert found["device GPU"].state == "broken"


def test_the_real_one_has_a_cpu():
    pytest.importorskip("openvino")
    assert look(OpenVino)["device CPU"].state == "present"


def test_one_that_does_not_load_and_none(monkeypatch):
    def fail():
        raise ImportError("libopenvino.so")

    monkeypatch.setattr(module, "import_openvino", fail)
    assert "libopenvino.so" in look(OpenVino)["OpenVINO"].value
    monkeypatch.setattr(vendor, "is_installed", lambda name: False)
    assert look(OpenVino)["OpenVINO"].state == "absent"
