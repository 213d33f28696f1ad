"""Differences of outputs and stages, judged by one comparison."""

import numpy as np
import pytest

from anomedge.images import Picture
from anomedge.parity import Comparison, Plan
from anomedge.parity.certificate import TOLERANCES
from anomedge.parity.golden import read_golden
from anomedge.parity.verdict import failures_of_cell
from tests.conftest import RUNTIMES
from tests.parity.examples import DECISION, comparison, outputs


def test_flips_are_named_and_errors_are_fractions_of_the_scale():
    made = comparison(outputs([39.0, 41.0, 50.0]), ["a", "b", "c"])
    difference = made.difference(outputs([39.0, 39.5, 50.001], 1.01))
    assert difference.flips == ("b",)
    assert difference.worst == "b"
    assert difference.score_error == pytest.approx(0.15)
    assert difference.map_error == pytest.approx(0.001, rel=1e-4)
    assert difference.smallest_margin == pytest.approx(0.1)
    lines = failures_of_cell(difference, 6e-5, TOLERANCES["fp32"])
    assert [line.split()[0] for line in lines] == ["score", "map", "batch", "1"]
    same = comparison(outputs([39.0]), ["a"]).difference(outputs([39.0]))
    assert failures_of_cell(same, None, TOLERANCES["fp32"]) == ()


def test_far_above_the_scale_an_error_is_a_fraction_of_the_value():
    """A fraction of the scale, 10, would need more digits than float32 has."""
    digit = np.spacing(np.float32(2e6))
    white = comparison(outputs([2e6], 2e6), ["white"])
    extreme = white.difference(outputs([2e6 + digit], 2e6 + digit))
    assert digit / DECISION.scale > TOLERANCES["fp32"].score
    assert (
        extreme.score_error == extreme.map_error == pytest.approx(digit / 1e5)
    )
    assert (
        failures_of_cell(extreme, extreme.score_error, TOLERANCES["fp32"]) == ()
    )
    wrong = white.difference(outputs([2e6 + 100], 2e6 + 100))
    assert [
        line.split()[0]
        for line in failures_of_cell(wrong, None, TOLERANCES["fp32"])
    ] == ["score", "map"]
    near = comparison(outputs([190.0], 190.0), ["a"]).difference(
        outputs([190.01], 190.01)
    )
    assert near.score_error == pytest.approx(1e-3, rel=1e-3)


def test_nan_fails():
    difference = comparison(outputs([39.0]), ["a"]).difference(
        outputs([np.nan])
    )
    assert failures_of_cell(difference, None, TOLERANCES["fp32"])


def test_blends_made_for_a_finer_precision_do_not_count_as_flips():
    """A blend may flip where scores may be 0.02 off; a picture may not."""
    expected, actual = outputs([39.98] * 3), outputs([40.02] * 3)
    names = ["blended/a+b@0.5", "a", "blended/user's own.png"]
    pictures = [names[0], *(Picture(name) for name in names[1:])]
    coarse = comparison(expected, pictures, blend_margin=0.02)
    assert coarse.difference(actual).flips == tuple(names[1:])
    fine = comparison(expected, pictures, blend_margin=1e-4)
    assert fine.difference(actual).flips == tuple(names)


def test_labels_must_not_flip_at_the_threshold_of_the_export_either():
    local = DECISION.model_copy(update={"threshold": 60.0})
    made = comparison(outputs([41.0]), ["a"], local, exported_decision=DECISION)
    assert made.difference(outputs([41.0])).flips == ()
    assert made.difference(outputs([39.0])).flips == (
        "a (at the threshold of the export)",
    )


def test_copies_are_compared_with_the_outputs_of_their_picture():
    made = comparison(outputs([39.0, 50.0]), ["a", "b"])
    difference = made.difference(outputs([50.0, 50.0, 51.0]), [1, 1, 1])
    assert difference.score_error == pytest.approx(0.1)
    assert difference.worst == "b"
    assert made.batch_error(outputs([39.0]), outputs([40.0])) == pytest.approx(
        0.1
    )


def test_differences_between_batches_are_shares_of_large_scores():
    made = comparison(outputs([39.0]), ["a"])
    assert DECISION.scale == 10
    small, large = outputs([49.0]), outputs([5000.0])
    assert made.batch_error(small, outputs([49.5])) == pytest.approx(0.05)
    assert made.batch_error(large, outputs([5000.5])) == pytest.approx(2e-3)


def test_a_comparison_holds_the_decisions_scales_and_tolerance(bundle):
    reference = read_golden(bundle)
    made = Comparison.of(bundle, reference, Plan(RUNTIMES[:1], (1,)))
    assert made.decision == made.exported_decision == bundle.decision
    assert made.tolerance == TOLERANCES["fp32"]
    assert made.blend_margin == 0.0
    assert made.frame == bundle.manifest.input.frame
    assert made.smallest_batch == 1
    assert made.scales["score"] == bundle.decision.scale
    half = Comparison.of(
        bundle, reference, Plan(RUNTIMES[:1], (1,), "fp16-storage")
    )
    assert half.blend_margin == TOLERANCES["fp16-storage"].score


def test_stage_deviations_are_scaled_by_the_originals_values():
    """A copy with huge values must not make its own errors small."""
    stages = {0: {"score": np.array([1.0])}, 1: {"score": np.array([2e3])}}
    one = DECISION.model_copy(update={"scale": 1.0})
    made = comparison(outputs([1.0, 2e3]), ["a", "b"], one, stages=stages)
    after, before = np.array([1e6]), np.array([1e6 + 40])
    assert made.stage_deviation(0, "score", before, after).error == 40
    assert made.stage_deviation(1, "score", before, after).error == 0.4
