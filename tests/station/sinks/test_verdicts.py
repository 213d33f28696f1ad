"""Events become labels, scores and states of a controller."""

import math
from datetime import datetime

import pytest

from anomedge.station.sinks._verdicts import (
    LABEL_CODES,
    STATE_CODES,
    state_of,
    verdict_of,
)
from tests.station.sinks.events import frame, undecided


def test_a_frame_and_an_undecided_frame_are_verdicts():
    found = verdict_of(frame(7, repeated=True))
    assert found == (
        "run-7", 7, "7.png", "anomalous", 1.5, datetime(2001, 11, 27, 2, 44, 22, 881000), True,
    )  # fmt: skip
    found = verdict_of(undecided(8))
    assert (found.label, found.number, found.repeated) == ("undecided", 8, False)  # fmt: skip
    assert math.isnan(found.score)


@pytest.mark.parametrize(
    "event",
    [
        {"event": "error", "name": "a.png", "message": "--on-fail failed"},
        {"event": "waiting"},
        frame(label="good"),
        frame(score="1.5"),
    ],
)
def test_other_events_are_none(event):
    assert verdict_of(event) is None


def test_what_a_spool_may_hold_does_not_break_it():
    found = verdict_of(frame(number="x", time="yesterday"))
    assert (found.number, found.time) == (0, datetime(1970, 1, 1))


def test_states_follow_the_source():
    kinds = ("started", "frame", "waiting", "resumed", "stopped", "error")
    states = [state_of({"event": kind}) for kind in kinds]
    assert states == ["running", "running", "waiting", "running", "stopped", None]  # fmt: skip
    assert set(states) - {None} == set(STATE_CODES)
    assert 0 not in LABEL_CODES.values()
