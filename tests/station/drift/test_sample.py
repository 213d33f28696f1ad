"""A folder in one comparison."""

import numpy as np

from anomedge.images.statistics import ImageStatistics
from anomedge.station.drift.reference import (
    IMAGE_FIGURES,
    Reference,
    ReferenceScores,
)
from anomedge.station.drift.sample import drift_of_sample

GENERATOR = np.random.default_rng(0)
SCORES = tuple(GENERATOR.normal(0, 1, 60))
LIGHT = GENERATOR.normal([120, 35, 60], [8, 3, 6], (60, 3))
REFERENCE = Reference(
    "manifest",
    ReferenceScores.of(SCORES, 5.0),
    dict(zip(IMAGE_FIGURES, map(tuple, LIGHT.T), strict=True)),
)


def found(scores, light):
    statistics = [ImageStatistics(*each) for each in light]
    changes = drift_of_sample(REFERENCE, 5.0, scores, statistics)
    return [change.name for change in changes]


def test_equal_pictures_have_no_drift():
    generator = np.random.default_rng(1)
    light = generator.normal([120, 35, 60], [8, 3, 6], (600, 3))
    assert found(generator.normal(0, 1, 600), light) == []


def test_other_light_and_other_scores_are_named():
    assert found(SCORES, LIGHT * 1.3) == ["brightness", "contrast"]
    assert found(np.array(SCORES) + 2, LIGHT) == ["scores"]


def test_few_pictures_say_nothing():
    assert found(SCORES[:2], LIGHT[:2] * 2) == []
    assert found([], []) == []


def test_without_a_record_there_is_no_statement():
    assert drift_of_sample(Reference("none"), 5.0, SCORES, []) == []
