"""Inputs of a layout between whole grey levels must give the outputs of the rounded ones."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from anomedge.layouts import Layout, LayoutOutput
from anomedge.parity import between_levels as module
from anomedge.parity.between_levels import check_between_levels
from anomedge.parity.layout_meter import LayoutMeter
from tests.parity.examples import DECISION, comparison
from tests.parity.sessions import Session, brightness, reference

GREYS = (0, 20, 30, 39, 60, 255)


class Floats(Layout):
    """Grey levels as floats."""

    name = "floats"
    summary = "floats"
    outputs: ClassVar = {
        "score": LayoutOutput("score", "raw"),
        "label": LayoutOutput("score", "label"),
        "anomaly_map": LayoutOutput("anomaly_map", "raw"),
        "mask": LayoutOutput("anomaly_map", "label"),
    }
    rounds = True

    @classmethod
    def feed(cls, frames):
        return {"levels": frames.astype(np.float32)}

    @classmethod
    def rewrite(cls, model, decision):
        pass


def rounded(levels):
    """The layout's graph: the brightness of whole levels, and labels."""
    outputs = brightness(np.rint(levels).clip(0, 255))
    labels = {
        "label": outputs["score"] > DECISION.threshold,
        "mask": outputs["anomaly_map"] > DECISION.threshold_of_map,
    }
    return outputs | labels


def checked(graph, seed=3, layout=Floats):
    session = Session(lambda feed: graph(feed["levels"]))
    original = reference(*GREYS)
    for place, name in [(0, "extreme/black"), (-1, "extreme/white")]:
        shown = original.pictures[place]
        original.pictures[place] = replace(
            shown, name=name, generated="extreme"
        )
    made = comparison(None, [], reference=original)
    meters = [LayoutMeter(n, o, DECISION) for n, o in Floats.outputs.items()]
    return check_between_levels(session, layout, made, meters, seed)


def test_a_graph_that_rounds_passes():
    check = checked(rounded)
    assert check.name == "floats between grey levels"
    assert (check.passed, check.detail, check.error) == (True, "", None)


def distances(levels):
    return np.abs(levels - np.rint(levels))


WRONG = {
    "everything off the grid": lambda x: distances(x).max() > 1e-2,
    "everything but 0.4 of a level": lambda x: 0 < distances(x).max() < 0.399,
    "all values far off the grid": lambda x: distances(x).min() > 0.3,
    "the floats beside a level": lambda x: 0 < distances(x).max() < 1e-3,
    "beyond black": lambda x: x.min() < -1,
    "beyond white": lambda x: x.max() > 256,
    "smooth fractions": lambda x: len(np.unique(x)) > 2 and np.ptp(x) < 0.99,
}


@pytest.mark.parametrize("condition", WRONG)
@pytest.mark.parametrize("output", ["score", "label"])
def test_a_graph_that_knows_whole_levels_fails(condition, output):
    def graph(levels):
        outputs = rounded(levels)
        if WRONG[condition](levels.astype(np.float64)):
            wrong = outputs[output]
            outputs[output] = ~wrong if output == "label" else wrong * 0 + 5
        return outputs

    check = checked(graph)
    assert not check.passed
    assert check.detail.startswith(f"floats {output} ")


def test_a_graph_that_does_not_round_fails():
    def graph(levels):
        outputs = rounded(levels)
        return outputs | {"score": brightness(levels)["score"]}

    assert "floats score off by" in checked(graph).detail


def test_resized_pictures_are_compared_with_their_rounded_pixels(monkeypatch):
    """Of pictures with one level each, nothing lies between two; so these are ramps."""
    levels = np.arange(96.0).reshape(1, 4, 8, 3)
    ramp = module._resized(levels, np.random.default_rng(1))
    between = distances(ramp)
    assert 0.1 < between.max() <= 0.49 + 1e-9
    monkeypatch.setattr(module, "_resized", lambda *_: ramp)

    def graph(values):
        outputs = rounded(values)
        if values.shape == ramp.shape and distances(values).any():
            outputs["mask"] = ~outputs["mask"]
        return outputs

    expected = "mask of a resized picture is not that of its whole grey levels"
    assert expected in checked(graph).detail
    assert checked(rounded).passed


def test_a_layout_of_whole_levels_has_nothing_between_them():
    class Whole(Floats):
        rounds = False

    assert checked(lambda levels: pytest.fail("ran"), layout=Whole).passed
