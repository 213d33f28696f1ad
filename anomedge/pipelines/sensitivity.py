"""Plant synthetic defects in normal pictures, and tell which share of them a threshold would catch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from anomedge.images import Picture
from anomedge.pipelines.data import image_of
from anomedge.pipelines.synthetic import SYNTHETIC_DEFECTS, plant
from anomedge.progress import track
from anomedge.resample import Geometry
from anomedge.threshold import Scores, Sensitivity, SensitivityRow

__all__ = [
    "LEAST_PICTURES",
    "PlannedDefect",
    "PlantedBatches",
    "auroc",
    "plan_defects",
    "sensitivity",
]

LEAST_PICTURES = 10
"""With fewer normal pictures, nothing is planted: their false-alarm rate cannot be told from 10 %."""
_MOST_DEFECTS = 100
_MOST_PER_PICTURE = 5
_RATES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)


@dataclass(frozen=True)
class PlannedDefect:
    """A synthetic defect of a kind, to be planted in a normal picture.

    Attributes:
        kind: name of the synthetic defect.
        picture: place of the normal picture.
        seed: seed of the defect's random choices.
    """

    kind: str
    picture: int
    seed: tuple[int, int]


def plan_defects(count: int, seed: int) -> list[PlannedDefect]:
    """Plan up to 100 defects, at most five per picture, all kinds in turn; none for fewer than 10 pictures.

    >>> len(plan_defects(9, 0)), len(plan_defects(12, 0)), len(plan_defects(500, 0))
    (0, 60, 100)
    """
    if count < LEAST_PICTURES:
        return []
    kinds = list(SYNTHETIC_DEFECTS.members())
    generator = np.random.default_rng([seed, count])
    order = generator.permutation(count)
    wanted = min(_MOST_DEFECTS, _MOST_PER_PICTURE * count)
    planned = []
    for number in range(wanted):
        turn, place = divmod(number, count)
        picture = int(order[place])
        kind = kinds[(place + turn) % len(kinds)]
        planned.append(PlannedDefect(kind, picture, (seed, number)))
    return planned


@dataclass(frozen=True)
class PlantedBatches:
    """Batches of images (B, 3, H, W) with planted defects.

    Args:
        pictures: the normal pictures.
        planned: the defects, each in a picture of its own copy.
        geometry: how pictures become images.
        batch: images per batch.
        inside: bool (H, W), True for the pixels of the region of interest; None: all of them.
        description: text of the progress display; empty: none.
    """

    pictures: Sequence[Picture]
    planned: Sequence[PlannedDefect]
    geometry: Geometry
    batch: int
    inside: Tensor | None = None
    description: str = ""

    def __iter__(self) -> Iterator[Tensor]:
        batch: list[Tensor] = []
        for defect in self._tracked():
            batch.append(self._planted(defect))
            if len(batch) == self.batch:
                yield torch.cat(batch)
                batch = []
        if batch:
            yield torch.cat(batch)

    def _tracked(self) -> Iterable[PlannedDefect]:
        if not self.description:
            return self.planned
        total = len(self.planned)
        return track(self.planned, self.description, total=total)

    def _planted(self, defect: PlannedDefect) -> Tensor:
        picture = self.pictures[defect.picture]
        image = image_of(picture, self.geometry)[0].permute(1, 2, 0).numpy()
        member = SYNTHETIC_DEFECTS.get(defect.kind)()
        generator = np.random.default_rng(defect.seed)
        inside = None if self.inside is None else self.inside.numpy()
        drawn = plant(member, image, generator, inside)
        planted = torch.from_numpy(drawn)
        return planted.permute(2, 0, 1)[None].contiguous()


def sensitivity(
    normal: Scores, defective: Scores, kinds: Sequence[str], threshold: float
) -> Sensitivity:
    """Return the shares of normal pictures and synthetic defects above a threshold and above others.

    Args:
        normal: scores of normal pictures.
        defective: scores of synthetic defects.
        kinds: kind of each defect.
        threshold: the threshold.
    """
    above = defective > threshold
    named = np.asarray(kinds)
    return Sensitivity(
        defects=defective.size,
        auroc=auroc(normal, defective),
        false_alarms=float((normal > threshold).mean()),
        caught=float(above.mean()),
        kinds={
            str(kind): float(above[named == kind].mean())
            for kind in np.unique(named)
        },
        rows=tuple(_rows(normal, defective)),
    )


def _rows(normal: Scores, defective: Scores) -> Iterator[SensitivityRow]:
    """Yield the shares at the false-alarm rates that the sample can tell apart."""
    ordered = np.sort(normal.astype(float))[::-1]
    for allowed in sorted({int(rate * ordered.size + 1e-9) for rate in _RATES}):
        threshold = ordered[allowed]
        yield SensitivityRow(
            threshold=float(threshold),
            false_alarms=float((ordered > threshold).mean()),
            caught=float((defective > threshold).mean()),
        )


def auroc(normal: Scores, defective: Scores) -> float:
    """Return the share of pairs in which the defect scores higher; equal scores count half."""
    ordered = np.sort(normal)
    below = np.searchsorted(ordered, defective, side="left")
    not_above = np.searchsorted(ordered, defective, side="right")
    return float((below + not_above).mean() / (2 * ordered.size))
