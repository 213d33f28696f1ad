"""Score normal pictures with detectors that were not fitted to them, and synthetic defects with the same detectors.

Cross-fitting splits the pictures into folds. Each fold is scored by a detector fitted to the others, and the detector
that ships is fitted to all. It has seen more pictures than those of the folds, so it scores normal pictures slightly
lower: thresholds of cross-fitted scores are conservative.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from anomedge.images import Picture
from anomedge.pipelines.base import Options, Pipeline
from anomedge.pipelines.data import FitData, PictureBatches, fold_name
from anomedge.pipelines.sensitivity import (
    PlannedDefect,
    PlantedBatches,
    plan_defects,
)
from anomedge.pipelines.tiles import Tiles, detect
from anomedge.progress import steps_shown
from anomedge.resample import Geometry
from anomedge.threshold import Scores

__all__ = [
    "Scored",
    "ScoredSample",
    "Scorer",
    "assign_folds",
    "fit_and_score",
    "score_held_back",
    "score_images",
]

Detector = Pipeline[Any, Any]

_PLACING = "placing the threshold"


@dataclass(frozen=True)
class Scored:
    """Scores of pictures, the largest values of their maps, and the kinds of synthetic defects.

    Attributes:
        scores: (N,).
        peaks: (N,); None for a detector without a map.
        kinds: kind of each synthetic defect; empty for pictures.
    """

    scores: Scores
    peaks: Scores | None
    kinds: tuple[str, ...] = ()

    def __len__(self) -> int:
        return int(self.scores.size)

    def at(self, places: npt.NDArray[np.intp]) -> Scored:
        """Return scores and peaks at these places."""
        peaks = None if self.peaks is None else self.peaks[places]
        return Scored(self.scores[places], peaks)


_NOTHING = Scored(np.empty(0), np.empty(0))

Counter = Callable[[int], None]
"""Is told the number of images of each batch that was scored."""


def _ignored(count: int) -> None:
    del count


@dataclass(frozen=True)
class ScoredSample:
    """Scores of the sample that places a threshold.

    Attributes:
        normal: normal pictures.
        anomalous: labelled anomalous pictures.
        synthetic: synthetic defects on the normal pictures.
    """

    normal: Scored
    anomalous: Scored = field(default=_NOTHING)
    synthetic: Scored = field(default=_NOTHING)


@dataclass(frozen=True)
class Scorer:
    """Score pictures with detectors.

    Args:
        geometry: how pictures become images.
        batch: images per batch.
        seed: seed of the synthetic defects.
        inside: bool (H, W), True for the pixels of the region of interest; None: all of them.
    """

    geometry: Geometry
    batch: int
    seed: int
    inside: Tensor | None = None

    @cached_property
    def tiles(self) -> Tiles | None:
        """Tiles of the images, if there are some."""
        return Tiles.of(self.geometry)

    @property
    def images_at_once(self) -> int:
        """Images per batch, so that a batch of tiles is about a batch of images."""
        if self.tiles is None:
            return self.batch
        return max(1, self.batch // self.tiles.count)

    def of_pictures(
        self,
        detector: Detector,
        pictures: Sequence[Picture],
        description: str = "",
        scored: Counter = _ignored,
    ) -> Scored:
        """Score pictures; a description shows the progress, and `scored` is told the size of each batch."""
        batches = PictureBatches(
            pictures, self.geometry, self.images_at_once, description
        )
        return score_images(detector, batches, self.tiles, scored)

    def of_defects(
        self,
        detector: Detector,
        pictures: Sequence[Picture],
        planned: Sequence[PlannedDefect],
        description: str = "",
        scored: Counter = _ignored,
    ) -> Scored:
        """Score synthetic defects on pictures; progress as in `of_pictures`."""
        batches = PlantedBatches(
            pictures,
            planned,
            self.geometry,
            self.images_at_once,
            self.inside,
            description,
        )
        found = score_images(detector, batches, self.tiles, scored)
        kinds = tuple(defect.kind for defect in planned)
        return Scored(found.scores, found.peaks, kinds)


def assign_folds(
    pictures: Sequence[Picture], count: int, seed: int
) -> list[list[int]]:
    """Assign the places of pictures to folds at random; copies of one file share a fold.

    Returns at most `count` folds, of about equal sizes, none empty.
    """
    places: dict[object, list[int]] = {}
    for place, picture in enumerate(pictures):
        places.setdefault(picture.digest or place, []).append(place)
    groups = list(places.values())
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(groups), generator=generator).tolist()
    folds: list[list[int]] = [[] for _ in range(min(count, len(groups)))]
    for turn, group in enumerate(order):
        folds[turn % len(folds)] += groups[group]
    return [sorted(fold) for fold in folds]


def fit_and_score(
    kind: type[Detector],
    data: FitData,
    options: Options,
    pictures: Sequence[Picture],
    folds: Sequence[Sequence[int]],
    scorer: Scorer,
) -> tuple[Detector, ScoredSample]:
    """Fit to all pictures; score each of them, and synthetic defects on them, by the detector of its fold.

    Args:
        kind: class of the detector.
        data: images of the pictures, in the same order.
        options: the detector's options.
        pictures: the normal pictures.
        folds: places of each fold's pictures.
        scorer: how to score.
    """
    planned = plan_defects(len(pictures), scorer.seed)
    detectors = kind.fit_folds(data, options, folds)
    normal, synthetic = [], []
    # Before the display: the first one often takes the features of all images.
    detector = next(detectors)
    with _folds_shown(len(pictures) + len(planned)) as counter_of:
        for number, fold in enumerate(folds):
            scored = counter_of(fold_name(number, len(folds)))
            chosen = [pictures[i] for i in fold]
            normal.append(scorer.of_pictures(detector, chosen, "", scored))
            places = set(fold)
            own = [defect for defect in planned if defect.picture in places]
            if own:
                synthetic.append(
                    scorer.of_defects(detector, pictures, own, "", scored)
                )
            detector = next(detectors)
    order = np.argsort(np.concatenate([list(fold) for fold in folds]))
    joined = _joined(normal)
    sample = ScoredSample(joined.at(order), synthetic=_joined(synthetic))
    return detector.eval(), sample


@contextmanager
def _folds_shown(total: int) -> Iterator[Callable[[str], Counter]]:
    """Show the progress over a number of images; yield a function that returns the counter of a named fold."""
    done = 0
    with steps_shown(_PLACING, total) as say:

        def counter_of(fold: str) -> Counter:
            def scored(count: int) -> None:
                nonlocal done
                done += count
                say(done, fold)

            return scored

        yield counter_of


def score_held_back(
    detector: Detector,
    normal: Sequence[Picture],
    anomalous: Sequence[Picture],
    scorer: Scorer,
) -> ScoredSample:
    """Score pictures that a detector was not fitted to; without anomalous ones, also synthetic defects on them."""
    scored = scorer.of_pictures(
        detector, normal, f"{_PLACING}, normal pictures"
    )
    if anomalous:
        title = f"{_PLACING}, anomalous pictures"
        found = scorer.of_pictures(detector, anomalous, title)
        return ScoredSample(scored, found)
    planned = plan_defects(len(normal), scorer.seed)
    if not planned:
        return ScoredSample(scored)
    title = f"{_PLACING}, synthetic defects"
    synthetic = scorer.of_defects(detector, normal, planned, title)
    return ScoredSample(scored, synthetic=synthetic)


def score_images(
    detector: Detector,
    batches: Iterable[Tensor],
    tiles: Tiles | None,
    scored: Counter = _ignored,
) -> Scored:
    """Score batches of images (B, 3, H, W) in [0, 1]; `scored` is told the size of each batch."""
    scores, peaks = [], []
    with torch.no_grad():
        for images in batches:
            stages = detect(detector, tiles, images)
            scores.append(stages["score"].numpy())
            if "anomaly_map" in stages:
                maps = stages["anomaly_map"].flatten(1)
                peaks.append(maps.amax(dim=1).numpy())
            scored(len(images))
    return Scored(
        np.concatenate(scores), np.concatenate(peaks) if peaks else None
    )


def _joined(parts: Sequence[Scored]) -> Scored:
    if not parts:
        return _NOTHING
    peaks = [part.peaks for part in parts if part.peaks is not None]
    return Scored(
        np.concatenate([part.scores for part in parts]),
        np.concatenate(peaks) if peaks else None,
        tuple(kind for part in parts for kind in part.kinds),
    )
