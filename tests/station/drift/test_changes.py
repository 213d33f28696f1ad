"""Changes of quartiles, in units of the least one that counts."""

import numpy as np
import pytest

from anomedge.station.drift.changes import (
    LEAST_FACTORS,
    LEAST_SHARE,
    change_of_images,
    change_of_scores,
)
from anomedge.station.drift.reference import IMAGE_FIGURES

QUARTILES = np.array([79.0, 99.0, 119.0])


def scaled(factor):
    """The quartiles with one grey level more, times a factor."""
    return (QUARTILES + 1) * factor - 1


def test_every_image_figure_has_a_least_factor_above_one():
    assert set(LEAST_FACTORS) == set(IMAGE_FIGURES)
    assert min(LEAST_FACTORS.values()) > 1


def test_another_figure_has_no_change():
    with pytest.raises(KeyError):
        change_of_images("scores")


@pytest.mark.parametrize("name", LEAST_FACTORS)
def test_the_least_factor_up_or_down_is_a_change_of_one(name):
    change, least = change_of_images(name), LEAST_FACTORS[name]
    assert change(QUARTILES, QUARTILES) == 0
    for factor in (least, 1 / least):
        assert change(QUARTILES, scaled(factor)) == pytest.approx(1)
    assert change(QUARTILES, scaled(least**2)) == pytest.approx(2)


@pytest.mark.parametrize("place", range(3))
def test_the_quartile_that_changed_most_counts(place):
    after = scaled(1.05)
    after[place] = scaled(1 / 1.1)[place]
    assert change_of_images("brightness")(QUARTILES, after) == pytest.approx(1)
    scores = np.zeros(3)
    scores[place] = -2.0
    assert change_of_scores(10.0)(np.zeros(3), scores) == pytest.approx(2)


def test_black_frames_have_a_change_and_their_noise_has_a_small_one():
    change, black = change_of_images("brightness"), np.zeros(3)
    assert change(black, black) == 0
    assert change(black, black + 0.05) < 1
    assert 1 < change(black, black + 100) < np.inf
    assert change(black + 100, black) == change(black, black + 100)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 50.0])
def test_a_share_of_the_scale_up_or_down_is_a_change_of_one(scale):
    change, least = change_of_scores(scale), LEAST_SHARE * scale
    scores = np.array([-1.0, 0.0, 2.0])
    assert change(scores, scores) == 0
    for shift in (least, -least):
        assert change(scores, scores + shift) == pytest.approx(1)


def test_changes_are_plain_numbers():
    for change in (change_of_images("contrast"), change_of_scores(1.0)):
        assert type(change(QUARTILES, scaled(2))) is float
