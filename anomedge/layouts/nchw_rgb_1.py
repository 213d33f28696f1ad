"""The layout `nchw-rgb-1`: float32 planes, RGB, 0 to 1."""

from anomedge.layouts.planes import Planes

__all__ = ["NchwRgb1"]


class NchwRgb1(Planes):
    """`images`, float32 (B, 3, H, W), RGB, 0 to 1, to raw `score` and `anomaly_map`."""

    name = "nchw-rgb-1"
    summary = "float32 planes, RGB, 0 to 1, raw outputs"
    colour = "RGB"
    values = (0, 1)
