"""TensorRT for RTX."""

from anomedge.doctor.tensorrt_probe import TensorRTProbe

__all__ = ["TensorRTForRtx"]


class TensorRTForRtx(TensorRTProbe):
    """TensorRT for RTX."""

    name = "tensorrt-rtx"
    title = "TensorRT for RTX"
    order = 31
    vendor = "tensorrt_rtx"
