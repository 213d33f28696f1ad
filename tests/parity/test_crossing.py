"""Search of the share at which a score crosses the threshold."""

import math

import numpy as np
import pytest

from anomedge.parity.crossing import Experience, Search, Window
from tests.parity.examples import DECISION

WINDOW = Window(0.01, 1.0)
ABOVE = 100.0


def rational(line, depth):
    """The curve that a search assumes."""

    def score(t):
        return (ABOVE * t - line * (1 - t)) / (t + line / depth * (1 - t))

    return score


def rippled(t):
    """A curve with ripples of about the window's width."""
    return rational(20, 60)(t) + 0.5 * math.sin(400 * t)


def dented(t):
    """A score that falls for a while below the threshold."""
    return rational(20, 60)(t) - 6 * math.exp(-(((t - 0.12) / 0.02) ** 2))


def starting(typical=15.0):
    return Search(ABOVE, WINDOW, Experience(typical).expected)


def run(search, score):
    """Run a search to its end; return its shares and distances."""
    points = []
    while search.goes_on:
        share = search.proposal()
        distance = score(share)
        search.add(share, distance)
        points.append((share, distance))
    return points


@pytest.mark.parametrize(
    "score",
    [
        rational(20, 60),
        rational(60, 60),
        rational(8, 100),
        rippled,
        dented,
        # The normal picture's own score, until the defect's exceeds it.
        lambda t: max(-12.0, rational(25, 90)(t)),
        lambda t: ABOVE * (2 * t - 1),
    ],
)
def test_both_sides_are_hit_in_a_few_runs(score):
    search = starting()
    points = run(search, score)
    assert search.hits == 2
    assert len(points) <= 7
    sides = {d > 0 for _, d in points if WINDOW.holds(d)}
    assert sides == {True, False}


def test_each_side_counts_once():
    search = starting()
    assert search.add(0.5, 0.5)
    assert not search.add(0.49, 0.4)
    assert search.hits == 1
    assert search.add(0.45, -0.5)
    assert search.hits == 2
    assert not search.goes_on


def test_a_run_too_near_the_threshold_is_no_hit():
    search = starting()
    assert not search.add(0.5, 0.001)
    assert search.hits == 0
    assert search.goes_on
    assert search.proposal() != pytest.approx(0.5, abs=1e-4)


def test_proposals_stay_inside_the_bracket():
    search = starting()
    search.add(0.1, -30.0)
    search.add(0.4, 40.0)
    search.add(0.2, -5.0)
    assert 0.2 < search.proposal() < 0.4


@pytest.mark.parametrize("distance", [30.0, -30.0])
def test_a_search_moves_on_while_all_runs_lie_on_one_side(distance):
    points = run(starting(), lambda _: distance)
    shares = [share for share, _ in points]
    assert len(shares) >= 2
    assert shares == sorted(shares, reverse=distance > 0)
    assert all(0 < share < 1 for share in shares)


@pytest.mark.parametrize(("share", "distance"), [(1e-5, 50.0), (1 - 1e-5, -50)])
def test_a_run_next_to_a_picture_leaves_room_for_another(share, distance):
    search = starting()
    search.add(share, distance)
    low, high = sorted((share, float(distance < 0)))
    assert low < search.proposal() < high


@pytest.mark.parametrize("low", [-100.0, -5.0])
def test_a_jump_is_given_up(low):
    search = starting()
    points = run(search, lambda t: 60.0 if t > 0.31 else low)
    assert search.hits == 0
    assert len(points) <= 6


@pytest.mark.parametrize("worst", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_ends_a_search(worst):
    search = starting()
    assert len(run(search, lambda _: worst)) == 1
    assert search.hits == 0


def test_searches_of_similar_pairs_become_shorter():
    experience = Experience(5.0)
    lengths = []
    for line in (40, 44, 37, 42, 39):
        search = Search(ABOVE, WINDOW, experience.expected)
        lengths.append(len(run(search, rational(line, 150))))
        experience.add(search)
    assert np.mean(lengths[2:]) < lengths[0]
    assert math.exp(experience.expected.line) > 2 * 1.5 * 5


def test_a_search_without_a_hit_says_nothing():
    experience = Experience(15.0)
    before = experience.expected
    search = starting()
    run(search, lambda t: 60.0 if t > 0.31 else -60.0)
    experience.add(search)
    assert experience.expected == before


def test_the_window_is_one_percent_and_decidable():
    window = Window.of(DECISION)
    assert window.most == pytest.approx(0.01 * DECISION.threshold)
    assert 0 < window.least < window.most
    assert window.holds(-window.most)
    assert not window.holds(window.least / 2)
    assert not window.holds(math.nan)
