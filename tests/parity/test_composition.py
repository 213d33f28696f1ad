"""Batches of other compositions than the cells': another order, padding, one anomalous picture among normal ones."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from anomedge.parity.cells import cells_of
from anomedge.parity.composition import (
    MOST,
    CompositionMeter,
    generator_of,
    padded,
    shuffled,
    singles,
)
from anomedge.parity.outputs import Outputs
from anomedge.verification import plan_of
from tests.commands.running import run
from tests.parity.examples import comparison, generated
from tests.parity.forging import host
from tests.parity.sessions import Session, brightness, reference

GREYS = (10, 20, 30, 35, 60)


def random():
    return np.random.default_rng(7)


@pytest.mark.parametrize("count", [1, 5, 38])
@pytest.mark.parametrize("batch", [2, 3, 8])
def test_every_length_is_padded_with_its_last_frame(count, batch):
    runs = list(padded(count, batch, random()))
    assert all(len(places) == batch for places in runs)
    if count > batch:
        lengths = sorted(len({*places}) for places in runs)
        assert lengths == [*range(1, batch)]
    for places in runs:
        shown = len(dict.fromkeys(places))
        assert count < batch or {*places[shown - 1 :]} == {places[shown - 1]}


def test_all_pictures_run_in_another_order():
    runs = list(shuffled(7, 3, random()))
    places = [place for run in runs for place in run]
    assert sorted(places[:7]) == [*range(7)]
    assert places[7:] == places[:2]
    assert places[:7] != [*range(7)]


def test_cells_run_in_the_order_and_are_right():
    original = reference(*GREYS)
    made = comparison(None, [], reference=original)
    meter = CompositionMeter(made, 2)
    assert meter.order("ort", 2) != [*range(len(GREYS))]
    session = Session(lambda feed: brightness(feed["frames"]))
    plan = SimpleNamespace(batches=[1, 2], precision="fp32")
    cells = list(cells_of(session, made, plan, compositions=meter))
    assert [cell.failures for cell in cells] == [(), ()]
    assert cells[1].batch_error == 0
    pairs = [frames[:, 0, 0, 0] for frames in session.frames[5:8]]
    shown = [int(grey) for pair in pairs for grey in pair]
    expected = [GREYS[place] for place in meter.order("ort", 2)]
    assert shown == [*expected, expected[0]]
    (check,) = meter.checks()
    assert check.passed


def test_the_order_is_another_one_for_every_seed_and_runtime():
    orders = [
        tuple(map(tuple, shuffled(20, 4, generator_of(seed, purpose))))
        for seed, purpose in [(1, "a 4"), (1, "a 4"), (2, "a 4"), (1, "b 4")]
    ]
    assert orders[0] == orders[1]
    assert len({*orders}) == 3


def test_one_picture_of_the_highest_score_stands_at_every_place():
    names = ["a", "extreme/white", "b", "c", "blended/d", "e"]
    scores = np.array([1.0, 99.0, 5.0, 2.0, 4.0, 3.0])
    pictures = [generated(name) for name in names]
    runs = list(singles(pictures, scores, 3, random()))
    assert sorted(places.index(2) for places in runs) == [0, 1, 2]
    assert all({*places} == {0, 2, 3} for places in runs)
    # With fewer others than places, they repeat.
    runs = list(
        singles([*map(generated, "ab")], np.array([1.0, 2.0]), 4, random())
    )
    assert sorted(places.index(1) for places in runs) == [0, 1, 2, 3]
    assert all(places.count(0) == 3 for places in runs)
    assert (
        list(singles([*map(generated, "a")], np.array([1.0]), 2, random()))
        == [[0, 0]] * 2
    )


def test_a_large_batch_adds_few_runs():
    filled = list(padded(10, 64, random()))
    assert len(filled) == MOST
    lengths = [len({*places}) for places in filled]
    assert lengths[0] == 1 and lengths[-1] == 10
    runs = list(singles([*map(generated, "abc")], np.arange(3.0), 64, random()))
    at = [places.index(2) for places in runs]
    assert len(at) == MOST and {0, 63} <= {*at}


def composed(function, batch=3):
    """The check of a session on pictures of five grey levels; the threshold is 40."""
    original = reference(*GREYS)
    made = comparison(None, [], reference=original)
    meter = CompositionMeter(made, 11)
    meter.add(Session(function), batch, original.outputs)
    (check,) = meter.checks()
    return check


def test_a_faithful_copy_is_equal_in_every_composition():
    check = composed(lambda feed: brightness(feed["frames"]))
    assert (check.name, check.passed) == ("composition at batch 3", True)
    assert (check.error, check.tolerance) == (0, 5e-5)
    assert check.detail == "order of seed 11"


def wrong_if(condition):
    def function(feed):
        outputs = brightness(feed["frames"])
        if condition(outputs["score"]):
            outputs["score"] = outputs["score"] * 0
        return outputs

    return function


FORGERIES = {
    "two equal frames at the end": lambda s: s[-1] == s[-2] != s[0],
    "the last one alone is anomalous": lambda s: (
        s[-1] > 40 and not (s[:-1] > 40).any()
    ),
    "the first one alone is anomalous": lambda s: (
        s[0] > 40 and not (s[1:] > 40).any()
    ),
    "no frame before a brighter one": lambda s: s[0] > s[1],
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_graph_that_knows_its_neighbours_fails_and_its_seed_is_said(forgery):
    check = composed(wrong_if(FORGERIES[forgery]))
    assert not check.passed
    assert check.error > 1
    assert check.detail.startswith("order of seed 11: score off by")


def test_an_output_that_is_no_number_is_an_infinite_error():
    def broken(feed):
        outputs = brightness(feed["frames"])
        return {name: values * np.nan for name, values in outputs.items()}

    check = composed(broken)
    assert (check.passed, check.error) == (False, np.inf)


def test_a_difference_from_the_cells_run_counts_as_one_between_batches():
    original = reference(*GREYS)
    made = comparison(None, [], reference=original)
    other = original.outputs.score + np.float32(8e-4)
    meter = CompositionMeter(made, 1)
    outputs = Outputs(other, original.outputs.anomaly_map)
    meter.add(Session(lambda f: brightness(f["frames"])), 2, outputs)
    (check,) = meter.checks()
    assert not check.passed
    assert check.error == pytest.approx(8e-5, rel=0.02)
    assert "batch off by" in check.detail
    assert "score off by" not in check.detail


def test_plans_have_seeds_of_the_operating_system(bundle_paths):
    from anomedge.bundle import Bundle

    bundle = Bundle.open(bundle_paths["padim"])
    one, other = plan_of(bundle), plan_of(bundle)
    assert one.seed != other.seed
    assert one == other


@pytest.mark.slow
def test_a_certificate_states_the_seed_of_every_batch_size(copy, capfd):
    assert run("verify", copy, "--batch", "1", "2", "--json") == 0
    checks = json.loads(capfd.readouterr().out)["checks"]
    details = {
        check["detail"]
        for check in checks
        if check["name"] == "composition at batch 2"
    }
    (detail,) = details
    assert detail.startswith("order of seed ")
    names = [check["name"] for check in host(copy)["checks"]]
    assert "composition at batch 8" in names
