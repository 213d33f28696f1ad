"""Results of one detector, collected picture by picture, and the figures computed from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

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
    def map_bits(self) -> int | None:
        """Significant bits of the map values that are kept; None without a map."""
        has_map = self._decision.has_map
        return self._values.significant_bits if has_map else None

    def add(
        self, anomalous: bool, result: Judgement, truth: Mask | None
    ) -> None:
        """Add the result of one picture.

        Args:
            anomalous: label of the picture.
            result: result of the detector.
            truth: mask on the map's grid (H, W); None if unknown.
        """
        anomaly_map, found = result.anomaly_map, result.mask
        if not (truth is None or anomaly_map is None or found is None):
            self._masked.append(len(self._scores))
            self._add_map(anomaly_map, found, truth)
        self._scores.append(result.score)
        self._labels.append(anomalous)
        self.decided.append(result.anomalous)

    def image(self, bootstrap: Bootstrap) -> LevelFigures:
        """Return the figures of all pictures."""
        sample = self._scored()
        return figures_of_scores(sample, self._decision.threshold, *bootstrap)

    def pixel(self, bootstrap: Bootstrap) -> LevelFigures | None:
        """Return the figures of all pixels; None without a map, or a mask of a defect."""
        if not self._decision.has_map:
            return None
        sample = self._mapped(self._values.curve())
        return _figures_of_pixels(sample, bootstrap)

    def kinds(
        self, kinds: Sequence[str], bootstrap: Bootstrap
    ) -> Iterator[KindFigures]:
        """Yield the figures of each kind of defect with all normal pictures.

        Args:
            kinds: kind of each picture.
            bootstrap: seed and replicates.
        """
        scored = self._scored()
        mapped = self._mapped() if self._decision.has_map else None
        labels = scored.anomalous
        of_each = np.array(kinds)
        masked = np.array(self._masked, dtype=np.intp)
        for kind in np.unique(of_each[labels]):
            chosen = ~labels | (of_each == kind)
            places = np.flatnonzero(chosen)
            pixel = None
            if mapped is not None:
                maps = mapped.at(np.flatnonzero(chosen[masked]))
                pixel = _figures_of_pixels(maps, bootstrap)
            yield KindFigures(
                kind=storable(str(kind)),
                image=figures_of_scores(
                    scored.at(places), self._decision.threshold, *bootstrap
                ),
                pixel=pixel,
            )

    def _add_map(
        self, values: npt.NDArray[np.float32], found: Mask, truth: Mask
    ) -> None:
        normal = ~truth
        if self._has_region:
            inside = values != 0
            truth, normal = truth & inside, normal & inside
        self._values.add(values, truth, normal)
        self._sketches.append(
            sketch_of(values, truth, self._decision.threshold_of_map, normal)
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
            self._decision.threshold_of_map,
            exact,
        )


def _figures_of_pixels(
    sample: MapSample, bootstrap: Bootstrap
) -> LevelFigures | None:
    """Return the figures of maps; None unless the masks hold normal and anomalous pixels."""
    confusion = sample.confusion
    if not (confusion.anomalous.any() and confusion.normal.any()):
        return None
    return figures_of_maps(sample, *bootstrap)
