"""Stages through the tapped graph: errors that add up on the way, and stages that are missing."""

import numpy as np
import pytest

from anomedge.errors import BundleError
from anomedge.parity.reference import Reference
from anomedge.parity.stages import (
    accumulated_deviations,
    check_stages,
    deviations_of_stored_stages,
)
from tests.parity.examples import comparison
from tests.parity.sessions import Session, brightness, reference


def staged(frames, error=0.0):
    """Distances are twice the brightness; the error is of distances."""
    outputs = brightness(frames)
    score = outputs["score"]
    return {
        "preprocessed": frames.mean(axis=3)[:, None] / 255,
        "distances": np.stack([0 * score, 2 * score + error], axis=1),
    } | outputs


def compared(*values, **more):
    original = reference(*values)
    for place, picture in enumerate(original.pictures):
        original.stages[place] = staged(picture.frame()[None])
    return comparison(None, [], reference=original, **more)


def test_an_error_is_a_share_of_the_spread_over_all_pictures():
    made = compared(30, 50)
    session = Session(lambda feed: staged(feed["frames"], error=0.5))
    found = accumulated_deviations(session, made)
    # Distances reach from 0 to 100.
    assert found["distances"] == (pytest.approx(5e-3), "30.png", "1")
    assert found["score"].error == 0
    assert accumulated_deviations(session, made, ["score"]).keys() == {"score"}


def test_each_stage_is_one_check():
    session = Session(lambda feed: staged(feed["frames"], error=0.5))
    checks = {
        each.name: each for each in check_stages(session, compared(30, 50))
    }
    assert {name: each.kind for name, each in checks.items()} == {
        "preprocessed": "pixels",
        "distances": "stage",
        "score": "stage",
        "anomaly_map": "stage",
    }
    failed = checks.pop("distances")
    assert not failed.passed
    assert failed.detail.startswith("off by 5.00e-03 in 30.png at 1; allowed ")
    assert all(each.passed for each in checks.values())


def test_torchvisions_rounded_pixels_are_compared_with_the_graphs():
    made = compared(30)
    exact = made.reference.stages[0]["preprocessed"]
    made.reference.stages[0]["rounded"] = exact + 0.25
    session = Session(lambda feed: staged(feed["frames"]))
    found = accumulated_deviations(session, made)
    assert found["rounded"].error == pytest.approx(0.25)


def test_a_stage_that_the_graph_lacks_is_refused():
    def without(feed):
        stages = staged(feed["frames"])
        del stages["distances"]
        return stages

    with pytest.raises(BundleError, match=r"stage distances is .*export again"):
        accumulated_deviations(Session(without), compared(30))


def test_a_fixed_batch_is_filled_up_with_copies():
    from anomedge.bundle import InputContract

    fixed = InputContract(height=4, width=4, batch=3)
    session = Session(lambda feed: staged(feed["frames"]))
    found = accumulated_deviations(session, compared(30, input=fixed))
    assert len(session.frames[0]) == 3
    assert found["score"].error == 0


def test_stored_stages_of_another_shape_are_infinitely_wrong():
    made = compared(30, 50)
    stages = {
        1: {
            "score": np.array([51.0]),
            "distances": np.zeros((1, 3)),
            "unknown": np.zeros(1),
        },
        7: {"score": np.zeros(1)},
    }
    original = made.reference
    stored = Reference("x", original.pictures, original.outputs, stages)
    found = deviations_of_stored_stages(made, stored)
    assert found["distances"] == (np.inf, "50.png", "")
    assert found["score"].error == pytest.approx(0.1)
    assert found.keys() == {"score", "distances"}
