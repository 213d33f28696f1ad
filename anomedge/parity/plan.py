"""What a proof is asked for: what the original says of which pictures, and where the copies are run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from anomedge import runtimes
from anomedge.bundle import Bundle
from anomedge.errors import InputError
from anomedge.images import Picture
from anomedge.parity.compare import Outputs
from anomedge.parity.tolerances import Tolerance, release_tolerance
from anomedge.resample import Geometry
from anomedge.runtimes import Options, Session, Tensors
from anomedge.runtimes.options import DEFAULT_BATCHES
from anomedge.threshold import Decision

__all__ = ["GoldenOutputs", "Original", "Plan", "Reference", "batches_of"]


class GoldenOutputs(NamedTuple):
    """Outputs for the golden frames of a bundle: of eager Torch on this machine, and as stored in the bundle."""

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
        golden: outputs for the bundle's golden frames; None if the bundle has none yet.
    """

    digest: str
    decision: Decision
    geometry: Geometry
    licence: dict[str, str]
    golden: GoldenOutputs | None = None


@dataclass(frozen=True)
class Reference:
    """What the original says: of every picture score and map, of some every stage.

    Attributes:
        source: "eager torch", "golden frames", or the runtime that stands in for the original.
        stages: by the picture's place; may hold `rounded`, the preprocessing of torchvision's uint8 path.
        fitted: how many of the pictures the detector was fitted to.
        original: values of the model file, if one is given.
    """

    source: str
    pictures: Sequence[Picture]
    outputs: Outputs
    stages: dict[int, Tensors] = field(default_factory=dict)
    fitted: int = 0
    resized: int = 0
    original: Original | None = None

    def exported_decision(self, bundle: Bundle) -> Decision:
        """Return the decision of the export: the model file's if one is given, else the manifest's."""
        return (
            self.original.decision
            if self.original
            else bundle.manifest.decision
        )

    def decision_in_force(self, bundle: Bundle) -> Decision:
        """Return the decision of the export with the device's overrides applied."""
        exported = self.exported_decision(bundle)
        return bundle.local.applied_to(exported) if bundle.local else exported


@dataclass(frozen=True)
class Plan:
    """What to prove: which runtimes, at which batch sizes, in which precision, on which device.

    `widen` is a factor on this release's tolerances, chosen by the user.
    """

    runtimes: Sequence[str]
    batches: Sequence[int]
    precision: str = "fp32"
    device: str | None = None
    threads: int | None = None
    widen: float = 1.0

    @property
    def tolerance(self) -> Tolerance:
        """The largest errors allowed by this release; the bundle's own tolerances are not used."""
        return release_tolerance(self.precision, self.widen)

    def options(self, runtime: str, **more: Any) -> Options:
        """Return the options for opening sessions of a runtime.

        Raises:
            InputError: the runtime does not take one of them.
        """
        largest = max(DEFAULT_BATCHES[2], *self.batches, 1)
        given = {
            "device": self.device,
            "precision": self.precision,
            "threads": self.threads,
            # The default range if it is enough, so that engines of other commands serve.
            "batches": (*DEFAULT_BATCHES[:2], largest),
        }
        return runtimes.options_for(runtimes.get(runtime), **(given | more))

    def open(self, bundle: Bundle, runtime: str, **more: Any) -> Session:
        """Open a session of the plan."""
        options = self.options(runtime, **more)
        return runtimes.get(runtime).from_bundle(bundle, options)


def batches_of(bundle: Bundle, asked: Sequence[int] = ()) -> list[int]:
    """The batch sizes to prove: those asked for, or 1, 2, 3 and 8, or the only one that a fixed graph takes.

    Raises:
        InputError: a size that the graph does not take.
    """
    fixed = bundle.manifest.input.batch
    if fixed == "dynamic":
        return list(asked) or [1, 2, 3, 8]
    if wrong := [n for n in asked if n != fixed]:
        raise InputError(
            f"got batch sizes {wrong}; expected {fixed}, the only one this bundle was exported for"
        )
    return [int(fixed)]
