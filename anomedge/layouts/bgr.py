"""The layout `bgr`: uint8 frames in the order in which OpenCV reads them, raw outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from anomedge.layouts.base import Layout, LayoutOutput
from anomedge.layouts.edits import feed_frames, node
from anomedge.layouts.planes import RAW_OUTPUTS
from anomedge.threshold import Decision

if TYPE_CHECKING:
    import onnx

__all__ = ["Bgr"]

INPUT = "bgr"


class Bgr(Layout):
    """`bgr`, uint8 (B, H, W, 3), to raw `score` and `anomaly_map`."""

    name = "bgr"
    summary = "uint8 frames in OpenCV's order of channels, raw outputs"
    outputs: ClassVar[dict[str, LayoutOutput]] = RAW_OUTPUTS
    colour = "BGR"
    precision = None

    @classmethod
    def feed(
        cls, frames: npt.NDArray[np.uint8 | np.float64]
    ) -> dict[str, npt.NDArray[Any]]:
        """Return the frames with their channels reversed."""
        return {INPUT: np.ascontiguousarray(frames[..., ::-1])}

    @classmethod
    def rewrite(cls, model: onnx.ModelProto, decision: Decision) -> None:
        """Add a cast, because TensorRT takes uint8 only there, and the order of the channels."""
        del decision
        nodes = [
            node("Cast", [INPUT], "bgr_levels", to=1),
            node(
                "Gather", ["bgr_levels", "reversed_channels"], "frames", axis=3
            ),
        ]
        constants = {"reversed_channels": np.array([2, 1, 0])}
        feed_frames(model, INPUT, "uint8", (0, 1, 2, 3), nodes, constants)
