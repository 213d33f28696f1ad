"""Scores of normal images by detectors whose statistics were estimated without them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from anomedge.errors import InputError
from anomedge.pipelines.base import Pipeline
from anomedge.pipelines.crossfit import Scored
from anomedge.pipelines.data import fold_name, selected
from anomedge.pipelines.quantised.compared import NOTHING, Batches

__all__ = ["LEAST_IMAGES", "cross_fitted"]

FOLDS = 4
"""Each fold costs an estimation of the statistics of both detectors."""

LEAST_IMAGES = 2 * FOLDS
"""With fewer images, a detector of one fold differs too much from that of all."""

Detector = Pipeline[Any, Any]


def cross_fitted(
    images: Batches,
    refit: Callable[[Batches, str], Detector],
    score: Callable[[Detector, Batches, str], Scored],
) -> Scored:
    """Return the scores of all images, each by a detector that was fitted to the other folds.

    Nothing for few images, or if the images of a fold are too few for the detector's statistics.

    Args:
        images: batches of normal images.
        refit: returns a detector with statistics of these images; takes the fold's name for the progress display.
        score: scores images with a detector; takes the fold's name, too.
    """
    count = sum(len(batch) for batch in images)
    if count < LEAST_IMAGES:
        return NOTHING
    parts: list[Scored] = []
    places: list[int] = []
    for first in range(FOLDS):
        fold, name = range(first, count, FOLDS), fold_name(first, FOLDS)
        others = set(range(count)).difference(fold)
        try:
            detector = refit(selected(images, others), name)
        except InputError:
            return NOTHING
        parts.append(score(detector, selected(images, set(fold)), name))
        places.extend(fold)
    return _joined(parts).at(np.argsort(places))


def _joined(parts: list[Scored]) -> Scored:
    peaks = [part.peaks for part in parts if part.peaks is not None]
    return Scored(
        np.concatenate([part.scores for part in parts]),
        np.concatenate(peaks) if peaks else None,
    )
