"""TensorRT for RTX: engines are built without a GPU and finished on the GPU that runs them."""

from __future__ import annotations

from anomedge.runtimes.nvidia.gpus import Gpu
from anomedge.runtimes.tensorrt.session import TensorRTSession

__all__ = ["RtxSession"]

_TURING = (7, 5)
_SUPPORTED_BEFORE_12 = {_TURING, (8, 0), (8, 6), (8, 9)}


class RtxSession(TensorRTSession):
    """A graph under TensorRT for RTX; the device is gpu, cuda or cuda:N.

    References:
        TensorRT-RTX documentation, "CPU-Only AOT and TensorRT-RTX Engines": an
        engine runs on compute capability 8.0, 8.6, 8.9, 12.0 and later, unless it
        was built for Turing (7.5) alone.
    """

    name = "tensorrt-rtx"
    short = "rtx"
    vendor = "tensorrt_rtx"
    extra = "rtx"
    targets = ("8.0", "8.6", "8.9", "12.0 and later")

    @classmethod
    def supports(cls, gpu: Gpu) -> bool:
        """Return whether a GPU is of the RTX class."""
        return gpu.capability in _SUPPORTED_BEFORE_12 or gpu.capability >= (
            12,
            0,
        )

    @classmethod
    def _needs_own_target(cls, gpu: Gpu) -> bool:
        return gpu.capability == _TURING

    @classmethod
    def _advice(cls) -> str:
        return (
            "it needs an RTX-class GPU (compute capability 7.5, 8.0, 8.6, 8.9 "
            "or 12); an engine for one can be built here: "
            "anomedge build BUNDLE --runtime rtx"
        )
