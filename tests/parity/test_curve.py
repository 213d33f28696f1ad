"""The curve of a blend's score over its share, estimated from few points."""

import math

import numpy as np
import pytest

from anomedge.parity.curve import Curve, Shape

ABOVE, LINE, DEPTH = 100.0, 20.0, 60.0


def score(share, line=LINE, depth=DEPTH):
    return (ABOVE * share - line * (1 - share)) / (
        share + line / depth * (1 - share)
    )


def curve(line=LINE, depth=DEPTH):
    return Curve(ABOVE, 0.5, Shape(math.log(line), math.log(depth)))


def likely(estimate, least=-1.0, most=1.0):
    """The share that most likely scores between two distances, and the chance."""
    shares = estimate.shares()
    chances = estimate.chances(shares, least, most)
    best = int(np.argmax(chances))
    return shares[best], chances[best]


CROSSING = LINE / (LINE + ABOVE)


def test_the_expected_curve_crosses_where_its_line_does():
    share, chance = likely(curve())
    assert share == pytest.approx(CROSSING, rel=0.1)
    assert chance < 0.2


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6])
def test_a_point_of_a_curve_as_deep_as_expected_shows_its_line(share):
    estimate = curve(line=2 * LINE)
    estimate.add(share, score(share))
    off = estimate.shape.line - math.log(LINE)
    assert abs(off) < 0.75 * math.log(2)
    assert likely(estimate)[1] > likely(curve())[1]


def test_points_show_the_depth():
    estimate = curve(line=1.5 * LINE, depth=2 * DEPTH)
    for share in (0.5, 0.25, 0.2, 0.15, 0.17):
        estimate.add(share, score(share))
    assert estimate.shape.depth < math.log(1.5 * DEPTH)
    assert likely(estimate)[0] == pytest.approx(CROSSING, abs=0.002)
    assert likely(estimate)[1] > 0.6


def test_chances_add_up_to_those_of_a_wider_range():
    estimate = curve()
    shares = estimate.shares()
    parts = estimate.chances(shares, -5, 0) + estimate.chances(shares, 0, 5)
    assert parts == pytest.approx(estimate.chances(shares, -5, 5))
    assert np.all(parts >= 0)
    assert np.all(parts <= 1)


def test_a_higher_distance_is_likely_at_a_higher_share():
    estimate = curve()
    estimate.add(0.2, score(0.2))
    below, above = likely(estimate, -5, -3)[0], likely(estimate, 3, 5)[0]
    assert below < CROSSING < above


@pytest.mark.parametrize("distance", [2 * ABOVE, ABOVE, -DEPTH, -1e9])
def test_a_distance_off_the_curve_moves_the_crossing_and_breaks_nothing(
    distance,
):
    estimate = curve()
    estimate.add(0.2, distance)
    share, _ = likely(estimate)
    assert (share < CROSSING) == (distance > 0)
    assert np.isfinite(estimate.shape).all()
