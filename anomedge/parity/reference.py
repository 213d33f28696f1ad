"""The original's outputs, by which every copy of the detector is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from anomedge.bundle import Bundle
from anomedge.bundle.quantised import QuantisedNetworks
from anomedge.bundle.ranges import Range
from anomedge.images import Picture
from anomedge.parity.outputs import Outputs
from anomedge.resample import Geometry
from anomedge.resample.levels import Levels
from anomedge.runtimes import Tensors
from anomedge.threshold import Decision

__all__ = [
    "EAGER",
    "GOLDEN",
    "ORIGINALS",
    "RUNTIMES_ONLY",
    "GoldenOutputs",
    "Original",
    "Reference",
]

EAGER = "eager torch"
GOLDEN = "golden frames"
ORIGINALS = (EAGER, GOLDEN)
"""References that hold the original detector's results.

Any other reference is a runtime that replaces the original.
"""

RUNTIMES_ONLY = " (no eager Torch was asked for: runtimes only)"
"""Follows the name of a runtime that replaces the original."""


class GoldenOutputs(NamedTuple):
    """Outputs for a bundle's golden frames.

    Attributes:
        eager: of eager Torch on this machine.
        stored: as stored in the bundle.
    """

    eager: Reference
    stored: Reference


@dataclass(frozen=True)
class Original:
    """Values of the model file that the bundle must repeat.

    Attributes:
        digest: SHA-256 of the file.
        decision: thresholds, scale and normalisation.
        geometry: mapping of a frame to the detector's image.
        licence: terms of the weights and pictures.
        golden: outputs for the bundle's golden frames; None if it has none yet.
        levels: of pictures with more than 8 bits per channel.
        ranges: value ranges for float16 on pictures of this proof; None if they are not compared.
        quantisation: what a bundle states about quantised networks; None for a float detector.
    """

    digest: str
    decision: Decision
    geometry: Geometry
    licence: dict[str, str]
    golden: GoldenOutputs | None = None
    levels: Levels | None = None
    ranges: tuple[Range, ...] | None = None
    quantisation: QuantisedNetworks | None = None


@dataclass(frozen=True)
class Reference:
    """Outputs of the original: scores and maps, and stages of some pictures.

    Attributes:
        source: "eager torch", "golden frames", or the name of the runtime that
            replaces the original.
        pictures: the N pictures.
        outputs: scores (N,) and, for a detector with a map, maps (N, 1, H, W).
        stages: stage arrays by index of the picture; may hold `rounded`, the
            preprocessing of torchvision's uint8 path.
        fitted: number of pictures that the detector was fitted to.
        resized: number of pictures that were stretched to the frame.
        original: values of the model file, if one is given.
    """

    source: str
    pictures: Sequence[Picture]
    outputs: Outputs
    stages: dict[int, Tensors] = field(default_factory=dict)
    fitted: int = 0
    resized: int = 0
    original: Original | None = None

    @property
    def names(self) -> list[str]:
        """Names of the pictures."""
        return [picture.name for picture in self.pictures]

    def exported_decision(self, bundle: Bundle) -> Decision:
        """Return the decision of the export.

        It is the model file's if one is given, else the manifest's.
        """
        if self.original is not None:
            return self.original.decision
        return bundle.manifest.decision

    def decision_in_force(self, bundle: Bundle) -> Decision:
        """Return the decision of the export with local overrides applied."""
        exported = self.exported_decision(bundle)
        return bundle.local.applied_to(exported) if bundle.local else exported
