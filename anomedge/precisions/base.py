"""Base class of precisions, and the tolerances of their proofs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from anomedge.bundle.contracts import Frozen

if TYPE_CHECKING:
    import onnx

__all__ = ["FLOAT32_PIXELS", "UINT8_PIXELS", "Precision", "Tolerance"]

FLOAT32_PIXELS = 1e-5
"""Tolerance of the pixels in float32, as a share of the [0, 1] range."""

UINT8_PIXELS = 1.01 / 255
"""Tolerance against torchvision's uint8 path, which rounds to grey levels after each axis: twice half a level, plus 1 %
for its integer weights (1.005 levels measured on noise)."""


class Tolerance(Frozen):
    """Largest errors allowed.

    `score`, `map` and `batch` are shares of `anomedge.threshold.scale_of_each`, `pixels` is a share of the [0, 1] range,
    and `stage` is a share of a stage's spread over all pictures with stages.
    """

    score: float
    map: float
    batch: float
    pixels: float
    stage: float

    def at(self, stage: str) -> float:
        """Return the largest error allowed at a stage, in the unit of `anomedge.parity.deviations.stage_scales`."""
        if stage == "preprocessed":
            return self.pixels
        if stage == "rounded":
            # A precision of coarser pixels adds its own error.
            return UINT8_PIXELS + max(0.0, self.pixels - FLOAT32_PIXELS)
        return self.stage

    def widened(self, factor: float) -> Tolerance:
        """Return a copy with every tolerance multiplied by `factor`."""
        values = self.model_dump().items()
        return Tolerance(**{name: value * factor for name, value in values})


class Precision:
    """A precision of exported graphs, or a mode in which a runtime computes.

    A subclass states its name, one line of help, and the tolerances of its proof. The proof takes them from the installed
    class, never from a bundle; a bundle in an unknown precision is refused.

    Attributes:
        name: as users write it and as the manifest has it.
        summary: for the help text of `anomedge export`.
        tolerance: largest errors allowed.
        typical_score: largest root mean square of the score's errors, as a share of the score's tolerance.
        is_written: False for a mode of a runtime, which has no graph of its own.
        quantised_networks: trace a detector with quantised networks; its decisions are its own, so it shares no bundle.
        half_networks: trace the detector with its networks in float16, after the pre-flight of their ranges.
        half_storage: store the model's large tensors in float16; they are converted to float32 on loading.
        int8_storage: store the large tensors of statistics in 8 bits; they are converted to float32 on loading.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    tolerance: ClassVar[Tolerance]
    typical_score: ClassVar[float] = 0.2
    is_written: ClassVar[bool] = True
    quantised_networks: ClassVar[bool] = False
    half_networks: ClassVar[bool] = False
    half_storage: ClassVar[bool] = False
    int8_storage: ClassVar[bool] = False

    @classmethod
    def edit(cls, graph: onnx.ModelProto, stored: Sequence[str]) -> None:
        """Edit the traced graph in place; the default leaves it as it is.

        Args:
            graph: every stage is an output.
            stored: names of the tensors that the model stores, as the graph has them.

        Raises:
            ExportError: the graph cannot be written in this precision.
        """
        del graph, stored

    @classmethod
    def file_name(cls, role: str, suffix: str) -> str:
        """Return the file of a graph with this role, such as `model.fp16.onnx`."""
        return f"{role}.{cls.name}{suffix}"
