"""Results of one detector, collected picture by picture, and the figures computed from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from anomedge.evaluation.curve import Curve
from anomedge.evaluation.detectors import Judgement
from anomedge.evaluation.figures import figures_of_maps, figures_of_scores
from anomedge.evaluation.map_values import MapValues, Sketch, sketch_of
from anomedge.evaluation.records import KindFigures, LevelFigures
from anomedge.evaluation.samples import Confusion, MapSample, ScoreSample
from anomedge.images import Mask
from anomedge.names import storable
from anomedge.threshold import Decision

__all__ = ["Bootstrap", "Collected"]


class Bootstrap(NamedTuple):
    """Seed and number of replicates."""

    seed: int
    replicates: int


class Collected:
    """Scores and decisions of all pictures, and map values of those with a mask.

    Args:
        decision: the thresholds in force.
        has_region: maps are 0 outside a region, and those pixels do not count.
    """

    def __init__(self, decision: Decision, has_region: bool = False) -> None:
        self._has_region = has_region
        self.decided: list[bool] = []
        self._decision = decision
        self._scores: list[float] = []
        self._labels: list[bool] = []
        self._masked: list[int] = []
        self._sketches: list[Sketch] = []
        self._confusions: list[tuple[int, int, int, int]] = []
        self._values = MapValues()

    @property
    def map_bits(self) -> int:
        """Significant bits of the map values that are kept."""
        return self._values.significant_bits

    def add(
        self, anomalous: bool, result: Judgement, truth: Mask | None
    ) -> None:
        """Add the result of one picture.

        Args:
            anomalous: label of the picture.
            result: result of the detector.
            truth: mask on the map's grid (H, W); None if unknown.
        """
        if truth is not None:
            self._masked.append(len(self._scores))
            self._add_map(result, truth)
        self._scores.append(result.score)
        self._labels.append(anomalous)
        self.decided.append(result.anomalous)

    def image(self, bootstrap: Bootstrap) -> LevelFigures:
        """Return the figures of all pictures."""
        sample = self._scored()
        return figures_of_scores(sample, self._decision.threshold, *bootstrap)

    def pixel(self, bootstrap: Bootstrap) -> LevelFigures | None:
        """Return the figures of all pixels; None without a mask of a defect."""
        sample = self._mapped(self._values.curve())
        if not _shows_location(sample):
            return None
        return figures_of_maps(sample, *bootstrap)

    def kinds(
        self, kinds: Sequence[str], bootstrap: Bootstrap
    ) -> Iterator[KindFigures]:
        """Yield the figures of each kind of defect with all normal pictures.

        Args:
            kinds: kind of each picture.
            bootstrap: seed and replicates.
        """
        scored, mapped = self._scored(), self._mapped()
        labels = scored.anomalous
        of_each = np.array(kinds)
        masked = np.array(self._masked, dtype=np.intp)
        for kind in np.unique(of_each[labels]):
            chosen = ~labels | (of_each == kind)
            places = np.flatnonzero(chosen)
            maps = mapped.at(np.flatnonzero(chosen[masked]))
            yield KindFigures(
                kind=storable(str(kind)),
                image=figures_of_scores(
                    scored.at(places), self._decision.threshold, *bootstrap
                ),
                pixel=figures_of_maps(maps, *bootstrap)
                if _shows_location(maps)
                else None,
            )

    def _add_map(self, result: Judgement, truth: Mask) -> None:
        values, found = result.anomaly_map, result.mask
        normal = ~truth
        if self._has_region:
            inside = values != 0
            truth, normal = truth & inside, normal & inside
        self._values.add(values, truth, normal)
        self._sketches.append(
            sketch_of(values, truth, self._decision.pixel_threshold, normal)
        )
        self._confusions.append(
            (
                int(normal.sum()),
                int(truth.sum()),
                int((found & normal).sum()),
                int((found & truth).sum()),
            )
        )

    def _scored(self) -> ScoreSample:
        return ScoreSample(
            np.array(self._scores, dtype=np.float64),
            np.array(self._labels, dtype=np.bool_),
            np.array(self.decided, dtype=np.bool_),
        )

    def _mapped(self, exact: Curve | None = None) -> MapSample:
        counts = np.array(self._confusions, dtype=np.float64).reshape(-1, 4)
        labels = np.array(self._labels, dtype=np.bool_)
        return MapSample(
            self._sketches,
            labels[np.array(self._masked, dtype=np.intp)],
            Confusion(*counts.T),
            self._decision.pixel_threshold,
            exact,
        )


def _shows_location(sample: MapSample) -> bool:
    """Whether the masks hold normal and anomalous pixels."""
    confusion = sample.confusion
    return bool(confusion.anomalous.any() and confusion.normal.any())
