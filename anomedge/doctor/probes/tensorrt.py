"""TensorRT, of JetPack or of pip."""

from anomedge.doctor.tensorrt_probe import TensorRTProbe

__all__ = ["TensorRT"]


class TensorRT(TensorRTProbe):
    """TensorRT."""

    name = "tensorrt"
    title = "TensorRT"
    order = 30
    vendor = "tensorrt"
