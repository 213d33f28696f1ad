"""Comparison: everything by which a copy's outputs and stages are judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from anomedge.bundle import Bundle, InputContract
from anomedge.images import Picture
from anomedge.parity.deviations import (
    Deviation,
    deviation_between,
    scale_at,
    stage_scales,
)
from anomedge.parity.ground_truth import (
    GroundTruth,
    ground_truth_of,
    region_of_maps,
)
from anomedge.parity.metrics import mask_iou
from anomedge.parity.outputs import Outputs
from anomedge.parity.pictures import BLENDED, LEVEL
from anomedge.parity.plan import Plan
from anomedge.parity.reference import Reference
from anomedge.parity.tolerances import Tolerance
from anomedge.resample import Geometry
from anomedge.resample.outside_resize import Framing, OutsideResize
from anomedge.threshold import Decision, scale_of_each

__all__ = ["Comparison", "Difference", "margins_to"]


class Difference(NamedTuple):
    """Differences of two sets of outputs.

    Errors and margins are fractions of `anomedge.threshold.scale_of_each`. `map_error` and `mask_iou` are None for a
    detector without a map.
    """

    score_error: float
    map_error: float | None
    worst: str
    flips: tuple[str, ...]
    smallest_margin: float
    mask_iou: float | None


@dataclass(frozen=True)
class Comparison:
    """Reference, decisions, scales and tolerance of one proof.

    Attributes:
        reference: outputs and stages of the original.
        decision: the decision in force.
        exported_decision: the decision of the export; labels must not flip at
            either threshold.
        tolerance: largest errors allowed.
        input: size of frames and batches of the graph.
        geometry: mapping of a frame to the detector's image.
        blend_margin: flips of blends nearer to the threshold than twice this
            fraction of the scale are ignored, because the blends were made for
            a finer precision; flips of other pictures always count.
        masked: whether the map is restricted to a region of any shape.
    """

    reference: Reference
    decision: Decision
    exported_decision: Decision
    tolerance: Tolerance
    input: InputContract
    geometry: Geometry
    blend_margin: float = 0.0
    masked: bool = False

    @classmethod
    def of(cls, bundle: Bundle, reference: Reference, plan: Plan) -> Comparison:
        """Build the comparison of a bundle with a reference."""
        tolerance = plan.tolerance
        return cls(
            reference=reference,
            decision=reference.decision_in_force(bundle),
            exported_decision=reference.exported_decision(bundle),
            tolerance=tolerance,
            input=bundle.manifest.input,
            geometry=bundle.manifest.geometry,
            blend_margin=0.0 if plan.precision == "fp32" else tolerance.score,
            masked=bundle.manifest.config.get("masked") is True,
        )

    @property
    def frame(self) -> Framing:
        """How a picture becomes the graph's input."""
        if self.input.resize is None:
            return self.input.frame
        return OutsideResize(self.geometry)

    @property
    def smallest_batch(self) -> int:
        """Smallest batch that the graph accepts."""
        batch = self.input.batch
        return 1 if batch == "dynamic" else int(batch)

    @cached_property
    def scales(self) -> dict[str, float]:
        """Scale of the errors at each stage; see `stage_scales`."""
        return stage_scales(
            self.exported_decision, self.reference.stages.values()
        )

    @cached_property
    def ground_truth(self) -> GroundTruth:
        """Labels of the pictures, and masks for a detector with a map.

        Access it after a session was opened: opening checks the graph against
        the manifest's sizes, which bounds the memory allocated here.
        """
        pictures = self.reference.pictures
        maps = self.reference.outputs.anomaly_map
        if maps is None:
            labels = [picture.anomalous for picture in pictures]
            return GroundTruth(labels, [None] * len(labels))
        truth = ground_truth_of(pictures, self.geometry, self.frame)
        if not self.masked:
            return truth
        return replace(truth, inside=region_of_maps(maps))

    def difference(
        self, actual: Outputs, places: Sequence[int] | None = None
    ) -> Difference:
        """Compare a copy's outputs with the original's.

        Args:
            actual: outputs of the copy.
            places: indices of the pictures in the reference; all if None.
        """
        expected, pictures = self.reference.outputs, self.reference.pictures
        if places is not None:
            expected = expected.at(places)
            pictures = [pictures[place] for place in places]
        scores, maps = self._errors(expected, actual)
        return Difference(
            score_error=float(scores.max()),
            map_error=None if maps is None else float(maps.max()),
            worst=pictures[int(_larger(scores, maps).argmax())].name,
            flips=self._flips(expected, actual, pictures),
            smallest_margin=float(
                margins_to(expected.score, self.decision).min()
            ),
            mask_iou=self._smallest_iou(expected, actual),
        )

    def score_errors(self, actual: Outputs) -> npt.NDArray[np.float64]:
        """Return the errors (N,) of a copy's scores of all pictures, as shares of the scale."""
        expected = self.reference.outputs.score
        return _relative_errors(expected, actual.score, self.decision.scale)

    def batch_error(self, one: Outputs, other: Outputs) -> float:
        """Return the largest difference of a copy's outputs in two batches."""
        errors = self._errors(one, other)
        return float(_larger(*errors).max())

    def stage_deviation(
        self,
        place: int,
        name: str,
        actual: npt.ArrayLike,
        expected: npt.ArrayLike | None = None,
    ) -> Deviation:
        """Return the deviation of a stage, scaled by the original's values.

        Args:
            place: index of the picture in the reference.
            name: name of the stage.
            actual: values of the copy.
            expected: values to compare with; the original's if None.
        """
        original = self.reference.stages[place][name]
        return deviation_between(
            original if expected is None else expected,
            actual,
            scale_at(name, original, self.scales),
            self.reference.pictures[place].name,
        )

    def _errors(
        self, expected: Outputs, actual: Outputs
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64] | None]:
        """Return the errors (N,) of scores and of maps; infinite if one side alone has maps, None if neither has."""
        scale = self.decision.scale
        scores = _relative_errors(expected.score, actual.score, scale)
        one, other = expected.anomaly_map, actual.anomaly_map
        if one is None and other is None:
            return scores, None
        if one is None or other is None:
            return scores, np.full(len(scores), np.inf)
        maps = _relative_errors(one, other, scale)
        return scores, maps.reshape(len(scores), -1).max(axis=1)

    def _flips(
        self, expected: Outputs, actual: Outputs, pictures: Sequence[Picture]
    ) -> tuple[str, ...]:
        """List flipped pictures at the thresholds in force and of the export."""
        flips = self._flips_at(self.decision, expected, actual, pictures)
        exported = self.exported_decision
        if exported.threshold == self.decision.threshold:
            return flips
        return flips + tuple(
            f"{name} (at the threshold of the export)"
            for name in self._flips_at(exported, expected, actual, pictures)
        )

    def _flips_at(
        self,
        decision: Decision,
        expected: Outputs,
        actual: Outputs,
        pictures: Sequence[Picture],
    ) -> tuple[str, ...]:
        blended = np.array([p.generated in (BLENDED, LEVEL) for p in pictures])
        margins = margins_to(expected.score, decision)
        counted = ~blended | (margins >= 2 * self.blend_margin)
        flipped = counted & (
            decision.is_anomalous(expected.score)
            != decision.is_anomalous(actual.score)
        )
        return tuple(
            picture.name
            for picture, flip in zip(pictures, flipped, strict=True)
            if flip
        )

    def _smallest_iou(self, expected: Outputs, actual: Outputs) -> float | None:
        """Return the smallest overlap of the masks of original and copy; None without masks."""
        decision, one, other = (
            self.decision,
            expected.anomaly_map,
            actual.anomaly_map,
        )
        if one is None or other is None or not decision.has_map:
            return None
        pairs = zip(decision.mask(one), decision.mask(other), strict=True)
        return min(mask_iou(*pair) for pair in pairs)


def _larger(
    scores: npt.NDArray[np.float64], maps: npt.NDArray[np.float64] | None
) -> npt.NDArray[np.float64]:
    """Return the larger error (N,) of score and map of each picture."""
    return scores if maps is None else np.asarray(np.maximum(scores, maps))


def _relative_errors(
    expected: npt.NDArray[np.floating],
    actual: npt.NDArray[np.floating],
    scale: float,
) -> npt.NDArray[np.float64]:
    differences = np.abs(_float64(actual) - _float64(expected))
    return np.asarray(differences / scale_of_each(expected, scale))


def margins_to(
    scores: npt.NDArray[np.floating], decision: Decision
) -> npt.NDArray[np.float64]:
    """Return distances (N,) to the threshold, as fractions of its scale."""
    distances = np.abs(_float64(scores) - decision.threshold)
    scale = scale_of_each(decision.threshold, decision.scale)
    return np.asarray(distances / scale)


def _float64(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)
