"""Shared libraries of the system that the runtimes load, by name; Python packages may bring their own copies."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

from anomedge.doctor.base import Finding, Probe

__all__ = ["Libraries"]

_PURPOSES = {
    "libcuda.so.1": "NVIDIA's driver",
    "libcudart.so.12": "CUDA 12",
    "libcudart.so.13": "CUDA 13",
    "libcudnn.so.9": "cuDNN 9, for ONNX Runtime's CUDA provider",
    "libnvinfer.so.8": "TensorRT 8",
    "libnvinfer.so.10": "TensorRT 10",
    "libnvdla_compiler.so": "a Jetson's TensorRT",
    "libOpenCL.so.1": "OpenVINO on Intel GPUs",
    "libze_loader.so.1": "Level Zero, for OpenVINO on Intel NPUs",
}


class Libraries(Probe):
    """Libraries of the system; absent ones matter only for the purpose named."""

    name = "libraries"
    title = "system libraries"
    order = 70

    @classmethod
    def look(cls) -> Iterator[Finding]:
        """Load each library, as the runtimes do."""
        for library, purpose in _PURPOSES.items():
            try:
                ctypes.CDLL(library)
            except OSError:
                yield Finding(library, f"not found ({purpose})", "absent")
            else:
                yield Finding(library, f"found ({purpose})")
