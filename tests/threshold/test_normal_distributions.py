"""Compact distributions of normal pictures, and the files that must not be believed."""

import numpy as np
import pytest
from pydantic import ValidationError

from anomedge.threshold.normal_distributions import NormalDistributions, compact
from anomedge.threshold.origin import Origin

GOOD = {
    "count": 3,
    "scores": (1.0, 2.0, 2.0),
    "size": (4, 6),
    "brightness": (10.0, 11.0),
    "contrast": (1.0, 2.0),
    "sharpness": (0.0, 5.0),
}


def test_many_values_become_quantiles_close_to_their_distribution():
    values = np.random.default_rng(0).normal(size=5000)
    quantiles = np.array(compact(values))
    assert quantiles.size == 256
    below = np.searchsorted(np.sort(values), quantiles) / 5000
    assert np.abs(below - (np.arange(256) + 0.5) / 256).max() < 1e-3


def test_an_origin_holds_them_through_json():
    origin = Origin(
        rule="f1",
        source="",
        normal=3,
        anomalous=0,
        margin=0.1,
        extrapolated=False,
        pictures="",
        normals=NormalDistributions(**GOOD),
    )
    content = origin.model_dump(mode="json")
    assert content["normals"]["scores"] == [1.0, 2.0, 2.0]
    assert Origin.model_validate(content) == origin


@pytest.mark.parametrize(
    "change",
    [
        {"scores": (2.0, 1.0, 3.0)},
        {"scores": (1.0, float("nan"))},
        {"scores": (1.0, float("inf"))},
        {"scores": ()},
        {"scores": (1.0,) * 4},
        {"count": 300, "scores": (1.0,) * 257},
        {"contrast": (1.0,)},
        {"count": 0},
        {"more": 1},
    ],
)
def test_other_records_are_refused(change):
    with pytest.raises(ValidationError):
        NormalDistributions(**(GOOD | change))


def test_scores_follow_a_line():
    moved = NormalDistributions(**GOOD).with_scores_on(2.0, 0.5)
    assert moved.scores == (2.5, 4.5, 4.5)
    assert moved.brightness == GOOD["brightness"]
