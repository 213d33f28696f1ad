"""TensorRT 8.6 to 11: NVIDIA's GPUs and Jetsons. The engine is built on the device it runs on, minutes on a Jetson."""

from __future__ import annotations

from anomedge.runtimes.tensorrt.session import TensorRTSession

__all__ = ["TrtSession"]


class TrtSession(TensorRTSession):
    """A graph under TensorRT; `device` is gpu, cuda or cuda:N."""

    name = "tensorrt"
    short = "trt"
    vendor = "tensorrt"
    extra = "tensorrt"
