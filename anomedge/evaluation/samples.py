"""Scores or maps of a set of pictures, ready for metrics and for a bootstrap over pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from anomedge.evaluation.curve import Counts, Curve, curve_of_scores, grouped
from anomedge.evaluation.map_values import Sketch, merged_sketches

__all__ = ["Confusion", "MapSample", "Sample", "ScoreSample"]

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.bool_]

_PLACES = 1024
"""Groups of map values in a replicate; each holds at most 0.2 % of the normal or of the anomalous pixels."""


@dataclass(frozen=True)
class Confusion:
    """Counts of each picture at the threshold in force, each (n,).

    Attributes:
        normal, anomalous: pixels; or 1 for the picture's label and 0.
        alarms: normal ones above the threshold.
        hits: anomalous ones above the threshold.
    """

    normal: Array
    anomalous: Array
    alarms: Array
    hits: Array


class Sample(Protocol):
    """Values of n pictures."""

    @property
    def anomalous(self) -> Labels:
        """Label of each picture, (n,)."""

    @property
    def confusion(self) -> Confusion:
        """Counts of each picture at the threshold in force."""

    @property
    def curve(self) -> Curve:
        """Counts of the whole sample at each value."""

    def weighted(self, weights: Array) -> Counts:
        """Return the counts of replicates.

        Args:
            weights: how often each replicate draws each picture, (r, n).
        """


@dataclass(frozen=True)
class ScoreSample:
    """Scores (n,), labels (n,) and decisions (n,) of n pictures."""

    scores: Array
    anomalous: Labels
    decided: Labels

    @cached_property
    def confusion(self) -> Confusion:
        """Counts of each picture: its label, and whether it was found."""
        labels = self.anomalous
        return Confusion(
            *(
                each.astype(np.float64)
                for each in (
                    ~labels,
                    labels,
                    ~labels & self.decided,
                    labels & self.decided,
                )
            )
        )

    @cached_property
    def curve(self) -> Curve:
        """Counts at each distinct score."""
        return curve_of_scores(self.scores, self.anomalous)

    def weighted(self, weights: Array) -> Counts:
        """Return the counts of replicates at each distinct score."""
        positive = weights * self.anomalous
        columns = np.stack([weights - positive, positive])
        # Counts are in descending order of values.
        _, (negatives, positives) = grouped(-self.scores, columns)
        return Counts(negatives, positives, np.zeros_like(positives))

    def at(self, places: npt.NDArray[np.intp]) -> ScoreSample:
        """Return the sample of some of the pictures."""
        return ScoreSample(
            self.scores[places], self.anomalous[places], self.decided[places]
        )


@dataclass(frozen=True)
class MapSample:
    """Maps of n pictures, as sketches.

    Attributes:
        sketches: one for each picture, made with `threshold`.
        anomalous: label of each picture, (n,).
        confusion: pixels of each picture at the threshold in force.
        threshold: the pixel threshold.
        exact: curve of the unsketched maps, if it is known.
    """

    sketches: Sequence[Sketch]
    anomalous: Labels
    confusion: Confusion
    threshold: float
    exact: Curve | None = None

    @cached_property
    def curve(self) -> Curve:
        """Counts at each value: of the maps if known, else of the sketches."""
        if self.exact is not None:
            return self.exact
        return merged_sketches(list(self.sketches), self.threshold)

    def weighted(self, weights: Array) -> Counts:
        """Return the counts of replicates, in groups of neighbouring values."""
        sums = [weights @ column for column in self._columns]
        return Counts(sums[0], sums[1], sums[2])

    def at(self, places: npt.NDArray[np.intp]) -> MapSample:
        """Return the sample of some of the pictures, known by their sketches."""
        part = Confusion(
            self.confusion.normal[places],
            self.confusion.anomalous[places],
            self.confusion.alarms[places],
            self.confusion.hits[places],
        )
        chosen = [self.sketches[place] for place in places]
        return MapSample(chosen, self.anomalous[places], part, self.threshold)

    @cached_property
    def _columns(self) -> npt.NDArray[np.float64]:
        """Counts of each picture in each group of values, (3, n, groups)."""
        keys = np.unique(
            np.concatenate([sketch.keys for sketch in self.sketches])
        )
        groups = self._groups(keys)
        columns = np.zeros((3, len(self.sketches), groups.max() + 1))
        for number, sketch in enumerate(self.sketches):
            places = groups[np.searchsorted(keys, sketch.keys)]
            for row in range(3):
                columns[row, number] = np.bincount(
                    places, sketch.columns[row], columns.shape[2]
                )
        # Values in descending order.
        return columns[:, :, ::-1]

    def _groups(self, keys: npt.NDArray[np.uint32]) -> npt.NDArray[np.intp]:
        """Map each key to a group of neighbouring keys, ascending."""
        totals = np.zeros((2, keys.size))
        for sketch in self.sketches:
            places = np.searchsorted(keys, sketch.keys)
            totals[:, places] += sketch.columns[:2]
        shares = totals / np.maximum(totals.sum(axis=1, keepdims=True), 1)
        level = np.cumsum(shares.sum(axis=0)) * (_PLACES / 2)
        _, groups = np.unique(np.ceil(level - 1e-9), return_inverse=True)
        return np.asarray(groups, dtype=np.intp)
