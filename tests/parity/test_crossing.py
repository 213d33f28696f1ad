"""The search of a crossing: few runs, both sides of the threshold, and no endless attempts."""

import math

import pytest

from anomedge.parity.crossing import Experience, Search, Window
from tests.parity.examples import DECISION

WINDOW = Window(0.002, 0.4)


def run(score, first_share=0.5, depth=10.0):
    """Search where `score` crosses 0; return the search and the points that were run."""
    search = Search(score(0), score(1), WINDOW, first_share, depth)
    points = []
    while not points or search.goes_on:
        share = search.proposal()
        points.append((share, score(share)))
        search.add(*points[-1])
    return search, points


@pytest.mark.parametrize(
    ("distance", "held"),
    [(0.002, True), (-0.4, True), (0.4, True), (0.0019, False), (0.41, False), (0.0, False)],
)  # fmt: skip
def test_a_window_is_near_the_threshold_but_decidable(distance, held):
    """Of a threshold of 40 and a scale of 10: within 1 %, and twice 1e-4 of the scale away."""
    assert Window.of(DECISION) == pytest.approx((0.002, 0.4))
    assert Window(0.002, 0.4).holds(distance) == held


def test_the_scale_of_a_window_is_that_at_the_threshold():
    fine = DECISION.model_copy(update={"scale": 1e-3})
    assert Window.of(fine).least == pytest.approx(2e-4 * 0.05 * 40)


def test_a_straight_line_is_crossed_on_both_sides():
    search, points = run(lambda share: 40 * share - 10.1)
    assert search.hits == 2
    sides = {distance > 0 for _, distance in points if WINDOW.holds(distance)}
    assert sides == {False, True}
    assert len(points) <= 5
    assert not search.goes_on


@pytest.mark.parametrize(
    "score",
    [
        lambda x: 60 * x**2 - 20,
        lambda x: 60 * math.sqrt(x) - 20,
        lambda x: max(-10.0, 80 * x - 30),
    ],
    ids=["slow start", "fast start", "flat start"],
)
@pytest.mark.parametrize("first_share", [0.1, 0.25])
def test_proposals_stay_within_the_bracket_and_runs_are_few(score, first_share):
    search, points = run(score, first_share)
    assert all(0 < share < 1 for share, _ in points)
    assert len({share for share, _ in points}) == len(points)
    assert search.hits
    assert len(points) <= 6


@pytest.mark.parametrize(("first_share", "hits"), [(0.54, 2), (0.56, 0)])
def test_a_first_run_far_above_ends_the_search(first_share, hits):
    """Far: by three tenths of the way from the normal to the anomalous score."""
    search, _ = run(lambda share: 40 * share - 10.1, first_share)
    assert search.hits == hits


def test_a_jump_next_to_the_normal_picture_is_given_up_at_once():
    search, points = run(lambda share: 30.0 if share > 0 else -10.0)
    assert len(points) == 1
    assert search.hits == 0


def test_a_jump_in_the_middle_is_given_up_after_six_runs():
    search, points = run(
        lambda share: 1.0 if share > 0.7 else (9.0 if share == 1 else -1.0)
    )
    assert search.hits == 0
    assert len(points) <= 6


def test_experience_tells_where_to_look_first():
    known = Experience(typical=10.0)
    assert known.first_share(above=30.0) == pytest.approx(0.25)
    assert known.depth == pytest.approx(20)
    search, _ = run(lambda share: 40 * share - 10, 0.2)
    known.add(search)
    # A straight line: its tangent is as deep as the line to the picture.
    assert known.first_share(above=30.0) == pytest.approx(0.25)
    assert known.depth == pytest.approx(15)


def test_the_typical_depth_is_the_median():
    known = Experience(typical=10.0)
    for depth in (4.0, 4.0):
        search, _ = run(lambda share, d=depth: (30 + d) * share - d, 0.2)
        known.add(search)
    assert known.first_share(above=12.0) == pytest.approx(0.25)
