"""Each image is scored by a detector that has not seen it."""

import numpy as np
import torch

from anomedge.errors import InputError
from anomedge.pipelines.crossfit import Scored
from anomedge.pipelines.quantised.cross_fitted import cross_fitted


def batches_of(*sizes):
    """Images whose pixels are their place."""
    places = iter(range(sum(sizes)))
    return [
        torch.stack(
            [torch.full((3, 2, 2), float(next(places))) for _ in range(n)]
        )
        for n in sizes
    ]


def seen_by(batches):
    return {int(image.max()) for batch in batches for image in batch}


def scored(detector, batches, fold=""):
    places = [int(image.max()) for batch in batches for image in batch]
    assert not detector.intersection(places)
    values = np.array(places, dtype=float)
    return Scored(values, values + 0.5)


def test_every_image_is_scored_once_in_order_by_a_detector_without_it():
    detectors, folds = [], []

    def refit(batches, fold):
        detectors.append(seen_by(batches))
        folds.append(fold)
        return detectors[-1]

    found = cross_fitted(batches_of(4, 4, 3), refit, scored)
    assert found.scores.tolist() == list(range(11))
    assert found.peaks.tolist() == [n + 0.5 for n in range(11)]
    assert [len(each) for each in detectors] == [8, 8, 8, 9]
    assert folds == [f"fold {number} of 4" for number in (1, 2, 3, 4)]


def test_folds_that_are_too_few_for_the_statistics_are_left_out():
    def refit(batches, fold):
        raise InputError("got 7 components of 6 images")

    assert len(cross_fitted(batches_of(11), refit, scored)) == 0


def test_few_images_are_not_split():
    def refit(batches, fold):
        raise AssertionError("got a fit of too few images")

    assert len(cross_fitted(batches_of(7), refit, scored)) == 0
