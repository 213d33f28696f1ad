"""The probe of TensorRT; `tests/doctor/test_tensorrt_probe.py` runs it."""

from anomedge import runtimes
from anomedge.doctor.probes.tensorrt import TensorRT


def test_it_looks_at_the_runtime_of_its_name():
    assert runtimes.available()[TensorRT.name].vendor == TensorRT.vendor
