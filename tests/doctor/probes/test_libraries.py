"""Libraries that load, and those that do not, each with its purpose."""

from anomedge.doctor.probes import libraries
from anomedge.doctor.probes.libraries import Libraries
from tests.doctor.fakes import look


def test_found_and_not_found(monkeypatch):
    def load(name):
        if name != "libOpenCL.so.1":
            raise OSError(name)

    monkeypatch.setattr(libraries.ctypes, "CDLL", load)
    found = look(Libraries)
    assert found["libOpenCL.so.1"].state == "present"
    assert found["libcuda.so.1"].value == "not found (NVIDIA's driver)"
    assert found["libcuda.so.1"].state == "absent"
