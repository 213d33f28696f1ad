"""Extreme, synthetic and blended pictures."""

import numpy as np

from anomedge.images import Picture
from anomedge.parity.certificate import TOLERANCES
from anomedge.parity.pictures import blends, extremes, synthetic
from anomedge.parity.verdict import failures_of_cell
from tests.parity.examples import DECISION, comparison, outputs


def test_synthetic_and_extreme_frames_are_deterministic():
    for make in (extremes, synthetic):
        one, two = make((16, 24)), make((16, 24))
        assert all(
            np.array_equal(a.frame(), b.frame())
            for a, b in zip(one, two, strict=True)
        )
        assert {p.frame().shape for p in one} == {(16, 24, 3)}


def brightness(frames):
    return frames.mean(axis=(1, 2, 3))


def test_blends_lie_next_to_the_threshold_but_not_on_it():
    grain = np.random.default_rng(0).integers(
        0, 40, (4, 16, 16, 3), dtype=np.uint8
    )
    given = [
        Picture(str(v), pixels=g + np.uint8(v))
        for v, g in zip((0, 10, 90, 200), grain, strict=True)
    ]
    scores = np.array([brightness(p.frame()[None])[0] for p in given])
    found = blends(given, scores, DECISION, (16, 16), brightness, 6)
    assert len(found) == 6
    for picture in found:
        assert (
            2e-4 * DECISION.scale
            <= abs(brightness(picture.frame()[None])[0] - 40)
            <= 0.4
        )
    assert (
        blends(given[:2], scores[:2], DECISION, (16, 16), brightness, 6) == []
    )


def test_blends_keep_their_distance_from_a_threshold_far_above_the_scale():
    """1e-4 of a scale of 1e-3 is less than a float32's last digit at 40."""
    fine = DECISION.model_copy(update={"scale": 1e-3})
    grain = np.random.default_rng(0).integers(
        0, 40, (4, 64, 64, 3), dtype=np.uint8
    )
    given = [
        Picture(str(v), pixels=g + np.uint8(v))
        for v, g in zip((0, 10, 90, 200), grain, strict=True)
    ]
    scores = np.array([brightness(p.frame()[None])[0] for p in given])
    found = blends(given, scores, fine, (64, 64), brightness, 6)
    assert found
    for picture in found:
        score = float(brightness(picture.frame()[None])[0])
        assert abs(score - 40) >= 2e-4 * 0.05 * 40
        digit = float(np.spacing(np.float32(40)))
        made = comparison(
            outputs([score]), [picture.name], fine, blend_margin=1e-4
        )
        copy = made.difference(
            outputs([score + np.copysign(digit, 40 - score)])
        )
        assert failures_of_cell(copy, None, TOLERANCES["fp32"]) == ()
