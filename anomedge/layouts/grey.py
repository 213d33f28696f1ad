"""The layout `grey`: uint8 frames of a monochrome camera, raw outputs."""

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

__all__ = ["Grey"]

INPUT = "grey"


class Grey(Layout):
    """`grey`, uint8 (B, H, W, 1), to raw `score` and `anomaly_map`.

    The level of each pixel becomes that of the three channels, so the pictures of a proof must have no colour.
    """

    name = "grey"
    summary = "uint8 frames of a monochrome camera, raw outputs"
    outputs: ClassVar[dict[str, LayoutOutput]] = RAW_OUTPUTS
    colour = "grey"
    precision = None

    @classmethod
    def feed(
        cls, frames: npt.NDArray[np.uint8 | np.float64]
    ) -> dict[str, npt.NDArray[Any]]:
        """Return the first channel of the frames."""
        return {INPUT: np.ascontiguousarray(frames[..., :1])}

    @classmethod
    def rewrite(cls, model: onnx.ModelProto, decision: Decision) -> None:
        """Add a cast, because TensorRT takes uint8 only there, and two copies of the channel."""
        del decision
        nodes = [
            node("Cast", [INPUT], "grey_levels", to=1),
            node("Concat", ["grey_levels"] * 3, "frames", axis=3),
        ]
        feed_frames(model, INPUT, "uint8", (0, 1, 2, 3), nodes, {}, channels=1)
