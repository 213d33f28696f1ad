"""GPUs with their driver, or the reason why there are none."""

from anomedge.doctor.probes.nvidia import Nvidia
from tests.doctor.fakes import look


def test_a_gpu_and_none(machine):
    machine.gpus("Orin")
    value = look(Nvidia)["GPU 0"].value
    assert value == "Orin, compute capability 8.7, driver CUDA 12.6, 540.4.0"
    machine.gpus()
    found = look(Nvidia)["GPU"]
    assert (found.value, found.state) == ("no NVIDIA driver", "absent")
