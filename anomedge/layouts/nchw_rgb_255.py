"""The layout `nchw-rgb-255`: float32 planes, RGB, 0 to 255."""

from anomedge.layouts.planes import Planes

__all__ = ["NchwRgb255"]


class NchwRgb255(Planes):
    """`images`, float32 (B, 3, H, W), RGB, 0 to 255, to raw `score` and `anomaly_map`."""

    name = "nchw-rgb-255"
    summary = "float32 planes, RGB, 0 to 255, raw outputs"
    colour = "RGB"
    values = (0, 255)
