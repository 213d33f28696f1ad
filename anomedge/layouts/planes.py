r"""Base of the layouts of float32 planes: (B, 3, H, W) of the frame's size, as most C++ clients feed; raw outputs.

::

    images       float32 (B, 3, H, W), brought to whole grey levels
    score        float32 (B,), raw
    anomaly_map  float32 (B, 1, h, w), raw; absent for a detector without a map

There are no outputs of other types than float32: DeepStream's nvinfer has no BOOL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from anomedge.layouts.base import Layout, LayoutOutput
from anomedge.layouts.edits import feed_frames, node
from anomedge.threshold import Decision

if TYPE_CHECKING:
    import onnx

__all__ = ["RAW_OUTPUTS", "Planes"]

INPUT = "images"
RAW_OUTPUTS: dict[str, LayoutOutput] = {
    "score": LayoutOutput("score", "raw"),
    "anomaly_map": LayoutOutput("anomaly_map", "raw"),
}
_WHITE = 255
_REVERSED = np.array([2, 1, 0])


class Planes(Layout):
    """Float32 planes; a subclass states its name, the order of the channels, and the value of white."""

    outputs: ClassVar[dict[str, LayoutOutput]] = RAW_OUTPUTS
    axes = "NCHW"
    precision = None
    rounds = True

    @classmethod
    def feed(
        cls, frames: npt.NDArray[np.uint8 | np.float64]
    ) -> dict[str, npt.NDArray[Any]]:
        """Return float32 (B, 3, H, W) with white as stated in `values`."""
        ordered = frames[..., ::-1] if cls.colour == "BGR" else frames
        scaled = (ordered / (_WHITE / cls.values[1])).astype(np.float32)
        return {INPUT: np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))}

    @classmethod
    def rewrite(cls, model: onnx.ModelProto, decision: Decision) -> None:
        """Add nodes before `frames`: scale, round, clip, order of the channels, and of the axes."""
        del decision
        nodes, constants, last = [], dict[str, Any](), INPUT
        if cls.values[1] != _WHITE:
            constants["grey_levels_of_one"] = np.float32(_WHITE / cls.values[1])
            nodes.append(node("Mul", [last, "grey_levels_of_one"], "levels"))
            last = "levels"
        constants["black"] = np.float32(0)
        constants["white"] = np.float32(_WHITE)
        nodes += [
            node("Round", [last], "whole_levels"),
            node("Clip", ["whole_levels", "black", "white"], "planes"),
        ]
        last = "planes"
        if cls.colour == "BGR":
            constants["reversed_channels"] = _REVERSED
            nodes.append(
                node("Gather", [last, "reversed_channels"], "rgb", axis=1)
            )
            last = "rgb"
        nodes.append(node("Transpose", [last], "frames", perm=[0, 2, 3, 1]))
        feed_frames(model, INPUT, "float32", (0, 3, 1, 2), nodes, constants)
