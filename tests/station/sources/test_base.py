"""Options that a user gave, and the times of events."""

import time

import numpy as np
import pytest

from anomedge.resample.levels import Levels
from anomedge.station.sources import (
    CapturedFrame,
    ConnectionChange,
    Order,
    SourceNotice,
    SourceOptions,
    UnusableFrame,
)


@pytest.mark.parametrize(
    ("options", "given"),
    [
        ({}, []),
        ({"poll": 3.0, "levels": Levels(0, 4095)}, []),
        ({"once": False, "retries": None}, []),
        ({"retries": 0}, ["retries"]),
        ({"order": Order.TIME, "settle": 0}, ["settle"]),
        ({"order": Order.NAME}, ["order"]),
        ({"new": True, "once": True, "poll": 1.0}, ["once", "new"]),
    ],
)
def test_only_options_that_the_user_changed_are_given(options, given):
    assert SourceOptions(**options).given() == given


def test_events_carry_the_time_they_were_made():
    before = time.time()
    events = [
        CapturedFrame(1, "a", np.zeros((1, 1, 3), np.uint8)),
        UnusableFrame(2, "b", "broken"),
        ConnectionChange("waiting", "camera", "no answer", 2.0),
        SourceNotice("missed", "c", "taken away", 1),
    ]
    assert all(before <= event.time <= time.time() for event in events)
    assert UnusableFrame(2, "b", "broken", time=5.0).time == 5
