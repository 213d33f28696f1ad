"""Base class of layouts: input, outputs, and the edit of the bundle's graph."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from anomedge.bundle.graph_contract import InputForm
from anomedge.threshold import Decision

if TYPE_CHECKING:
    import onnx

__all__ = ["Layout", "LayoutOutput"]


@dataclass(frozen=True)
class LayoutOutput:
    """An output of a layout, as the proof compares it.

    Attributes:
        quantity: the score (B,) or the anomaly map (B, 1, h, w).
        form: raw; normalised to [0, 1]; or a label, True above the threshold.
    """

    quantity: Literal["score", "anomaly_map"]
    form: Literal["raw", "normalised", "label"]

    @property
    def dtype(self) -> str:
        """The element type, in numpy's name."""
        return "bool" if self.form == "label" else "float32"


class Layout(abc.ABC):
    """An input and output layout of exported graphs.

    A subclass states its name, one line of help, its outputs, the conversion of frames, and the edit of the graph. The
    proof runs every picture through the layout's graph and compares each output with the reference.

    Attributes:
        name: as users write it, and the role of its graphs in the manifest.
        aliases: other names that users may write.
        summary: for the help text of `anomedge export`.
        outputs: by name, in the graph's order; a detector without a map gives those of the score alone.
        axes: order of the input's axes, `NHWC` or `NCHW`; with `colour` and `values` it is part of the contract that the
            graphs carry.
        colour: order of the channels, `RGB`, `BGR` or `grey`; with `grey` the pictures of a proof must have no colour.
        values: values of black and of white.
        precision: the precision whose graph gets this layout; None: every precision that the bundle has.
        any_batch: False if the users of this layout feed one picture at a time.
        adds_graph: False for the layout that every bundle has.
        rounds: True if the input holds floats and the graph rounds them to whole grey levels. A layout of floats must do so:
            only then is the detector's answer between two levels known.
    """

    name: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()
    summary: ClassVar[str]
    outputs: ClassVar[dict[str, LayoutOutput]]
    axes: ClassVar[str] = "NHWC"
    colour: ClassVar[str] = "RGB"
    values: ClassVar[tuple[int, int]] = (0, 255)
    precision: ClassVar[str | None] = "fp32"
    any_batch: ClassVar[bool] = True
    adds_graph: ClassVar[bool] = True
    rounds: ClassVar[bool] = False

    @classmethod
    def outputs_of(cls, has_map: bool) -> dict[str, LayoutOutput]:
        """Return the outputs for a detector with or without a map."""
        return {
            name: output
            for name, output in cls.outputs.items()
            if has_map or output.quantity == "score"
        }

    @classmethod
    @abc.abstractmethod
    def feed(
        cls, frames: npt.NDArray[np.uint8 | np.float64]
    ) -> dict[str, npt.NDArray[Any]]:
        """Return the graph's inputs for RGB frames, uint8 (B, H, W, 3); float64 grey levels if `rounds` is set."""

    @classmethod
    @abc.abstractmethod
    def rewrite(cls, model: onnx.ModelProto, decision: Decision) -> None:
        """Give the graph this layout's input and outputs, in place.

        The graph has the input `frames`, uint8 (B, H, W, 3), and the outputs `score` (B,) and, if `decision.has_map`,
        `anomaly_map` (B, 1, h, w). Its weights may lie in another file, so they must not be changed.
        """

    @classmethod
    def model_info(cls, decision: Decision) -> dict[str, str]:
        """Return metadata for the OpenVINO IR, under `rt_info/model_info`; empty by default."""
        del decision
        return {}

    @classmethod
    def properties(cls, decision: Decision) -> dict[str, str]:
        """Return the properties that `rewrite` gives to the ONNX graph; empty by default."""
        del decision
        return {}

    @classmethod
    def form(cls) -> InputForm:
        """Return the input, and the form of the scores, as the contract of the graphs states them."""
        forms = {output.form for output in cls.outputs.values()}
        scores = "normalised" if "normalised" in forms else "raw"
        return InputForm(cls.name, cls.axes, cls.colour, cls.values, scores)

    @classmethod
    def is_written_in(cls, precision: str) -> bool:
        """Return True if the graph of a precision gets this layout."""
        return cls.adds_graph and cls.precision in {None, precision}

    @classmethod
    def accepts_batch(cls, batch: int | str) -> bool:
        """Return True if the layout can be exported with this batch, a number or "dynamic"."""
        return cls.any_batch or batch in {"dynamic", 1}
