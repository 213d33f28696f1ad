"""TensorRT 8.6 to 11, on NVIDIA GPUs and Jetsons.

The engine is built on the device that runs it, which takes minutes on a Jetson.
"""

from __future__ import annotations

from pathlib import Path

from anomedge.runtimes.tensorrt.options import TrtOptions
from anomedge.runtimes.tensorrt.session import TensorRTSession

__all__ = ["TrtSession"]

_JETSON = Path("/etc/nv_tegra_release")


class TrtSession(TensorRTSession):
    """A graph under TensorRT; the device is gpu, cuda or cuda:N."""

    name = "tensorrt"
    short = "trt"
    vendor = "tensorrt"
    extra = "tensorrt"
    Options = TrtOptions

    @classmethod
    def how_to_install(cls) -> str:
        """Return the instruction that installs TensorRT; JetPack contains it."""
        if _JETSON.exists():
            return (
                "it comes with JetPack; make the environment with "
                "python3 -m venv --system-site-packages"
            )
        return super().how_to_install()
