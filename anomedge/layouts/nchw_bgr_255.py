"""The layout `nchw-bgr-255`: float32 planes, BGR, 0 to 255."""

from anomedge.layouts.planes import Planes

__all__ = ["NchwBgr255"]


class NchwBgr255(Planes):
    """`images`, float32 (B, 3, H, W), BGR, 0 to 255, to raw `score` and `anomaly_map`."""

    name = "nchw-bgr-255"
    summary = "float32 planes, BGR, 0 to 255, raw outputs"
    colour = "BGR"
    values = (0, 255)
