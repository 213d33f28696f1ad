"""Collect a session's outputs picture by picture, and judge two sets of them against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from anomedge.errors import InputError
from anomedge.images import Frame, Mask, Picture, stretch
from anomedge.parity.metrics import auroc, mask_iou
from anomedge.parity.pictures import BLENDED
from anomedge.progress import track
from anomedge.resample import Geometry
from anomedge.runtimes import Session
from anomedge.threshold import Decision, scale_of_each

__all__ = [
    "Difference",
    "Outputs",
    "Ranks",
    "Truth",
    "collect",
    "compare",
    "truth_of",
]

FRAMES = "frames"


@dataclass(frozen=True)
class Outputs:
    """Scores (N,) and maps (N, 1, H, W) of N pictures."""

    score: npt.NDArray[np.floating]
    anomaly_map: npt.NDArray[np.floating]


class Ranks(NamedTuple):
    """AUROC of images and of pixels, None where too little is known of the pictures."""

    image: float | None
    pixel: float | None


@dataclass(frozen=True)
class Truth:
    """What is known of the pictures: labels and masks, None where nothing is."""

    anomalous: list[bool | None]
    masks: list[Mask | None]

    def ranks(self, outputs: Outputs) -> Ranks:
        """AUROC of images that have a label, and of the pixels of images that have a mask."""
        labelled = [
            i for i, known in enumerate(self.anomalous) if known is not None
        ]
        image = auroc(
            outputs.score[labelled], [bool(self.anomalous[i]) for i in labelled]
        )
        masked = [
            (i, mask) for i, mask in enumerate(self.masks) if mask is not None
        ]
        if not masked:
            return Ranks(image, None)
        pixels = np.concatenate(
            [outputs.anomaly_map[i].ravel() for i, _ in masked]
        )
        return Ranks(
            image,
            auroc(pixels, np.concatenate([mask.ravel() for _, mask in masked])),
        )


class Difference(NamedTuple):
    """How far two sets of outputs are apart; errors are shares of `anomedge.threshold.scale_of_each`."""

    score_error: float
    map_error: float
    worst: str
    flips: tuple[str, ...]
    smallest_margin: float
    mask_iou: float


def collect(
    session: Session,
    pictures: Sequence[Picture],
    frame: tuple[int, int],
    batch: int,
) -> Outputs:
    """Run every picture in batches of exactly `batch`; the last one is filled up from the first pictures.

    Raises:
        InputError: no pictures: nothing compared must not look like nothing wrong.
    """
    if not pictures:
        raise InputError(
            "got no pictures to compare; expected at least one: give --images DIR"
        )
    scores: list[npt.NDArray[np.floating]] = []
    maps: list[npt.NDArray[np.floating]] = []
    starts = range(0, len(pictures), batch)
    for start in track(
        starts, f"{session.name} at batch {batch}", total=len(starts)
    ):
        chosen = [pictures[(start + i) % len(pictures)] for i in range(batch)]
        outputs = session.run(
            {FRAMES: np.stack([picture.frame(frame) for picture in chosen])}
        )
        scores.append(outputs["score"])
        maps.append(outputs["anomaly_map"])
    count = len(pictures)
    return Outputs(np.concatenate(scores)[:count], np.concatenate(maps)[:count])


def truth_of(
    pictures: Sequence[Picture], geometry: Geometry, frame: tuple[int, int]
) -> Truth:
    """Labels, and masks on the anomaly map's grid."""
    masks = [_on_map(picture.mask(), geometry, frame) for picture in pictures]
    return Truth([picture.anomalous for picture in pictures], masks)


def compare(
    reference: Outputs,
    outputs: Outputs,
    decision: Decision,
    names: Sequence[str],
    allowed: float = 0.0,
    exported: Decision | None = None,
) -> Difference:
    """Numbers and decisions.

    A blend nearer to the threshold than twice what a score may be off, a share of the scale, was made for a finer
    precision than this one: its label is not counted. A picture's always is.

    Args:
        reference: outputs of the original.
        outputs: outputs of the copy.
        decision: the decision in force.
        names: names of the pictures.
        allowed: score tolerance of this precision, as a share of the scale; 0 to count the labels of all blends.
        exported: the decision of the export, if a local one is in force; labels must not flip at either threshold.
    """
    scores = np.abs(
        _exact(outputs.score) - _exact(reference.score)
    ) / scale_of_each(reference.score, decision.scale)
    maps = np.abs(_exact(outputs.anomaly_map) - _exact(reference.anomaly_map))
    worst_of_map = (
        (maps / scale_of_each(reference.anomaly_map, decision.scale))
        .reshape(len(names), -1)
        .max(axis=1)
    )
    flips = _flips(reference, outputs, decision, names, allowed)
    if exported is not None and exported.threshold != decision.threshold:
        at_export = _flips(reference, outputs, exported, names, allowed)
        flips += tuple(
            f"{name} (at the threshold of the export)" for name in at_export
        )
    masks = zip(
        decision.mask(reference.anomaly_map),
        decision.mask(outputs.anomaly_map),
        strict=True,
    )
    return Difference(
        score_error=float(scores.max()),
        map_error=float(worst_of_map.max()),
        worst=names[int(np.maximum(scores, worst_of_map).argmax())],
        flips=flips,
        smallest_margin=float(_margins(reference, decision).min()),
        mask_iou=min(mask_iou(a, b) for a, b in masks),
    )


def _flips(
    reference: Outputs,
    outputs: Outputs,
    decision: Decision,
    names: Sequence[str],
    allowed: float,
) -> tuple[str, ...]:
    """List the pictures with different labels in original and copy; blends too near to the threshold are not counted."""
    own = np.array([not name.startswith(BLENDED) for name in names])
    counted = own | (_margins(reference, decision) >= 2 * allowed)
    flipped = counted & (
        decision.is_anomalous(reference.score)
        != decision.is_anomalous(outputs.score)
    )
    return tuple(
        name for name, flip in zip(names, flipped, strict=True) if flip
    )


def _margins(reference: Outputs, decision: Decision) -> npt.NDArray[np.float64]:
    """Compute the distances (N,) of the original's scores to the threshold, as shares of the scale at the threshold."""
    distances = np.abs(_exact(reference.score) - decision.threshold)
    return np.asarray(
        distances / scale_of_each(decision.threshold, decision.scale)
    )


def _exact(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)


def _on_map(
    mask: Mask | None, geometry: Geometry, frame: tuple[int, int]
) -> Mask | None:
    """A frame's mask on the map's grid: what the matrices make of it, cut at one half.

    A mask that covers the whole picture says that it is anomalous, not where, so it is no mask.
    """
    if mask is None or mask.all():
        return None
    if not mask.any():
        return np.zeros(geometry.image, dtype=np.bool_)
    pixels: Frame = stretch(
        np.repeat(mask[..., None].astype(np.uint8) * 255, 3, axis=2), frame
    )
    rows, columns = geometry.matrices(frame)
    return np.asarray(rows @ (pixels[..., 0] / 255.0) @ columns.T > 0.5)
