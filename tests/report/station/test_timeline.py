"""Intervals of a log: their counts, and clocks that jump."""

import numpy as np
import pytest

from anomedge.report.station.log import StationLog
from anomedge.report.station.timeline import timeline_of
from tests.report.station.logs import START, frame, undecided


def log_of(events):
    log = StationLog()
    for each in events:
        log.add(each)
    return log


def test_every_frame_is_in_one_interval():
    events = [frame(number, number % 20, number) for number in range(400)]
    found = timeline_of(log_of([*events, undecided(400)]))
    assert found.counts.sum(axis=0).tolist() == [220, 180, 1]
    assert found.unit == "minutes"
    assert found.place(START + 60) == pytest.approx(1)
    assert found.edges[-1] == pytest.approx(400 / 60)
    assert np.nanmax(found.highest) == 19
    assert np.nanmax(found.threshold) == 10


def test_one_frame_has_a_timeline():
    found = timeline_of(log_of([frame(1, 5.0)]))
    assert found.counts.sum() == 1


@pytest.mark.parametrize("jump", [-1e8, 1e8])
def test_after_a_jump_of_the_clock_the_axis_counts_frames(jump):
    events = [frame(1, 5.0), frame(2, 5.0, jump), frame(3, 5.0, jump + 1)]
    found = timeline_of(log_of(events))
    assert found.unit == "frames"
    assert found.place(START) is None
    assert found.counts.sum() == 3
