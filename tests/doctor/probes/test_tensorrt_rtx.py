"""The probe of TensorRT for RTX; `tests/doctor/test_tensorrt_probe.py` runs its base."""

from anomedge import runtimes
from anomedge.doctor.probes.tensorrt_rtx import TensorRTForRtx


def test_it_looks_at_the_runtime_of_its_name():
    kind = TensorRTForRtx
    assert runtimes.available()[kind.name].vendor == kind.vendor
