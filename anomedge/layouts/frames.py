"""The layout of every bundle: frames as the camera gives them, raw score and, if the detector has one, anomaly map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from anomedge.layouts.base import Layout, LayoutOutput
from anomedge.threshold import Decision

if TYPE_CHECKING:
    import onnx

__all__ = ["Frames"]


class Frames(Layout):
    """`frames`, uint8 (B, H, W, 3) RGB, to `score` (B,) and `anomaly_map` (B, 1, h, w), float32 and raw."""

    name = "frames"
    aliases = ("anomedge",)
    summary = "uint8 frames in, raw score and map out, the default"
    outputs: ClassVar[dict[str, LayoutOutput]] = {
        "score": LayoutOutput("score", "raw"),
        "anomaly_map": LayoutOutput("anomaly_map", "raw"),
    }
    adds_graph = False

    @classmethod
    def feed(
        cls, frames: npt.NDArray[np.uint8 | np.float64]
    ) -> dict[str, npt.NDArray[Any]]:
        """Return the frames as they are."""
        return {"frames": frames}

    @classmethod
    def rewrite(cls, model: onnx.ModelProto, decision: Decision) -> None:
        """Leave the graph as it is."""
        del model, decision
