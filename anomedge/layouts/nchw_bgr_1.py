"""The layout `nchw-bgr-1`: float32 planes, BGR, 0 to 1."""

from anomedge.layouts.planes import Planes

__all__ = ["NchwBgr1"]


class NchwBgr1(Planes):
    """`images`, float32 (B, 3, H, W), BGR, 0 to 1, to raw `score` and `anomaly_map`."""

    name = "nchw-bgr-1"
    summary = "float32 planes, BGR, 0 to 1, raw outputs"
    colour = "BGR"
    values = (0, 1)
