"""NVIDIA GPUs and driver, asked through the driver's library, and the package that allocates memory on them."""

from __future__ import annotations

from collections.abc import Iterator

from anomedge.doctor.base import Finding, Probe
from anomedge.runtimes.nvidia import cuda, gpus

__all__ = ["Nvidia"]


class Nvidia(Probe):
    """GPUs, driver, CUDA."""

    name = "nvidia"
    title = "NVIDIA GPU, driver, CUDA"
    order = 20

    @classmethod
    def look(cls) -> Iterator[Finding]:
        """Ask the driver in a process of its own."""
        found = gpus.find()
        for gpu in found.gpus:
            yield Finding(
                f"GPU {gpu.index}",
                f"{gpu.name}, compute capability {gpu.compute}, driver {gpu.driver}",
            )
        if not found.gpus:
            yield Finding("GPU", found.reason, "absent")
        if cuda.installed():
            yield Finding("cuda-python", "installed")
        else:
            yield Finding("cuda-python", "not installed", "absent")
