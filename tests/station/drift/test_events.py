"""Drift in the output lines of a station."""

import copy

import numpy as np
import pytest

from anomedge.station import EventWriter, Station
from anomedge.station.drift.events import DriftWatch
from anomedge.station.output import SHARED
from anomedge.threshold.normal_distributions import NormalDistributions
from tests.station.test_loop import (
    DECISION,
    GreyInspector,
    ListSource,
    events,
    frame,
)


class RecordedInspector(GreyInspector):
    """An inspector whose bundle has a record of normal pictures with greys of 40 to 60."""

    def __init__(self):
        super().__init__()
        greys = tuple(np.linspace(40, 60, 41))
        zeros = (0.0,) * 41
        normals = NormalDistributions(
            count=41,
            scores=greys,
            size=(8, 12),
            brightness=greys,
            contrast=zeros,
            sharpness=zeros,
        )
        origin = DECISION.origin.model_copy(update={"normals": normals})
        self.decision = DECISION.model_copy(update={"origin": origin})
        self.bundle.decision = self.bundle.manifest.decision = self.decision
        self.bundle.local = None


def greys(count, seed=0, shift=0):
    drawn = np.random.default_rng(seed).integers(40, 61, count)
    return (drawn + shift).tolist()


def run(given, inspector=None, window=16):
    import io
    import json

    output = EventWriter(io.StringIO())
    items = [frame(number, grey) for number, grey in enumerate(given, 1)]
    Station(
        inspector or RecordedInspector(),
        ListSource(items),
        output,
        observers=[DriftWatch(output, window)],
    ).run()
    return [json.loads(line) for line in output._stream.getvalue().splitlines()]


def named(lines, event):
    return [line for line in lines if line["event"] == event]


def test_a_drift_has_one_event_at_its_beginning_and_one_at_its_end():
    lines = run(greys(40) + greys(40, 1, 30) + greys(40, 2))
    drifts = named(lines, "drift")
    assert [(line["name"], line["state"]) for line in drifts] == [
        ("scores", "begun"),
        ("brightness", "begun"),
        ("scores", "over"),
        ("brightness", "over"),
    ]
    begun = drifts[1]
    assert 40 < begun["number"] < 60
    assert begun["statistic"] >= begun["limit"]
    assert begun["compared_with"] == "manifest"
    assert begun["reference"] == pytest.approx(50)
    assert "brightness: median" in begun["message"]
    place = lines.index(begun)
    assert lines[place - 2]["number"] == begun["number"]
    assert "drift" in SHARED


def test_every_window_states_all_figures():
    found = named(run(greys(33)), "distribution")
    assert [line["number"] for line in found] == [16, 32]
    figures = found[1]["figures"]
    assert set(figures) == {
        "scores",
        "alarms",
        "brightness",
        "contrast",
        "sharpness",
    }
    assert figures["alarms"]["interval"][0] == 0
    assert figures["scores"]["statistic"] < figures["scores"]["limit"]


def test_undisturbed_frames_have_no_event():
    assert events(run(greys(10))) == ["started", *["frame"] * 10, "stopped"]


@pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")
def test_a_record_of_huge_values_ends_no_station():
    inspector = RecordedInspector()
    huge = (-1.7e308,) * 20 + (1.7e308,) * 21
    origin = inspector.decision.origin
    normals = origin.normals.model_copy(
        update={"brightness": huge, "scores": (-1.7e308,) * 40 + (0.0,)}
    )
    inspector.bundle.manifest.decision = inspector.decision.model_copy(
        update={"origin": origin.model_copy(update={"normals": normals})}
    )
    assert len(named(run(greys(40), inspector), "frame")) == 40


def test_settings_that_are_read_again_unchanged_do_not():
    inspector = RecordedInspector()
    output_of = inspector.predict_batch

    def predict(frames):
        inspector.decision = inspector.decision.model_copy()
        inspector.bundle = copy.copy(inspector.bundle)
        return output_of(frames)

    inspector.predict_batch = predict
    drifts = named(run(greys(60, 1, 30), inspector), "drift")
    assert [line["name"] for line in drifts].count("brightness") == 1


def test_another_decision_starts_the_comparison_again():
    inspector = RecordedInspector()
    output_of = inspector.predict_batch

    def predict(frames):
        if len(inspector.seen) == 30:
            decision = inspector.decision
            higher = {"threshold": decision.threshold + 1}
            inspector.decision = decision.model_copy(update=higher)
        return output_of(frames)

    inspector.predict_batch = predict
    drifts = named(run(greys(60, 1, 30), inspector), "drift")
    numbers = [
        line["number"] for line in drifts if line["name"] == "brightness"
    ]
    assert len(numbers) == 2
    assert numbers[0] <= 16
    assert 30 < numbers[1] <= 30 + 17
