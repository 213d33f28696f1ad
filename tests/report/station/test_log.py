"""The content of a log, and lines that are no events."""

import json
import math
import os

import pytest

from anomedge.errors import InputError
from anomedge.report.station import log as module
from anomedge.report.station.log import read_log
from tests.report.station.logs import (
    START,
    distribution,
    drift,
    event,
    frame,
    started,
    undecided,
    write_log,
)


def test_frames_drifts_and_gaps_are_read(tmp_path):
    log = read_log(
        write_log(
            tmp_path / "log",
            [
                started(),
                frame(1, 5.0),
                frame(2, 12.0),
                frame(3, 11.0),
                undecided(4),
                event("error", 5, name="cmd", message="failed"),
                event("waiting", 6, name="cam", message="lost", seconds=1),
                event("waiting", 7, name="cam", message="lost", seconds=2),
                event("resumed", 9, name="cam", message="", seconds=0),
                drift(10, "begun"),
                drift(12, "over"),
                drift(13, "begun", "scores"),
                distribution(14, scores=0.25, unknown=1.0),
                event("heartbeat", 15),
            ],
        )
    )
    assert dict(log.counts) == {"normal": 1, "anomalous": 2, "undecided": 1}
    assert [each.score for each in log.worst] == [12.0, 11.0]
    assert list(log.labels) == [0, 1, 1, 2]
    assert math.isnan(log.scores[3])
    assert (log.bad, log.lines, log.dropped) == (0, 14, 3)
    (gap,) = log.gaps
    assert (gap.begin - START, gap.end - START) == (6, 9)
    assert [(each.name, each.end) for each in log.drifts] == [
        ("brightness", START + 12),
        ("scores", None),
    ]
    assert log.distributions == [(START + 14, {"scores": 0.5})]
    assert log.reasons == {"broken": 1}
    assert log.sources == {("cam", "d" * 64): 1}
    assert log.last == START + 15


BAD = [
    "no json",
    "[]",
    "1",
    "[" * 50_000,
    '{"event": "frame"}',
    '{"event": "frame", "time": "yesterday"}',
    '{"event": 5, "time": "2026-01-01T00:00:00+00:00"}',
    json.dumps(frame(1, 1.0) | {"score": float("nan")}),
    json.dumps(frame(1, 1.0) | {"score": "1"}),
    json.dumps(frame(1, 1.0) | {"label": "good"}),
    json.dumps(frame(1, 1.0) | {"dropped": -1}),
    json.dumps(frame(1, 1.0) | {"time": "9999-12-31T23:59:59-23:00"}),
    json.dumps(frame(1, 1.0) | {"time": "0001-01-01T00:00:00+00:00"}),
    json.dumps(event("distribution", 1, figures=[])),
    '{"event": "frame", "number": ' + "9" * 5000 + "}",
    '{"a": "' + "b" * 300_000 + '"}',
]


def test_bad_lines_are_counted_and_left_out(tmp_path):
    log = read_log(write_log(tmp_path / "log", [*BAD, frame(1, 5.0), ""]))
    assert (log.lines, log.bad) == (len(BAD) + 1, len(BAD))
    assert log.counts == {"normal": 1}


def test_repeated_events_count_once(tmp_path):
    given = [frame(1, 5.0, id="a"), frame(1, 5.0, id="a", repeated=True)]
    log = read_log(write_log(tmp_path / "log", [*given, frame(2, 5, id="b")]))
    assert (log.repeated, log.counts["normal"]) == (1, 2)


def test_a_start_ends_what_was_open(tmp_path):
    events = [
        drift(1, "begun"),
        event("waiting", 2, name="cam", message="lost"),
        started(5),
        drift(6, "over"),
    ]
    log = read_log(write_log(tmp_path / "log", events))
    assert log.drifts[0].end == START + 5
    assert log.gaps[0].end == START + 5


def test_names_that_are_no_unicode_are_read(tmp_path):
    name = os.fsdecode(b"\xffa\\\xfe.png") + "\U0001f480\\udcff"
    log = read_log(write_log(tmp_path / "log", [frame(1, 50.0, name=name)]))
    assert log.bad == 0
    expected = "\\xffa\\\\xfe.png\U0001f480\\udcff"
    assert log.worst[0].name == expected


def test_numbers_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_FRAMES", 3)
    monkeypatch.setattr(module, "MOST_EVENTS", 2)
    monkeypatch.setattr(module, "_MOST_WORST", 2)
    monkeypatch.setattr(module, "_MOST_REASONS", 2)
    events = [frame(number, 20.0 + number) for number in range(5)]
    events += [undecided(number, str(number)) for number in range(5)]
    events += [drift(1, "begun", str(number)) for number in range(5)]
    log = read_log(write_log(tmp_path / "log", events))
    assert (len(log.times), log.not_drawn) == (3, 7)
    assert [each.score for each in log.worst] == [24.0, 23.0]
    assert log.reasons == {"0": 1, "1": 1, "other reasons": 3}
    assert len(log.drifts) == 2


def test_a_file_without_events_is_refused(tmp_path):
    with pytest.raises(InputError, match="none of which is an event"):
        read_log(write_log(tmp_path / "log", ["hello"]))
    with pytest.raises(InputError, match="cannot be read"):
        read_log(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        read_log(tmp_path / "none")


@pytest.mark.skipif(os.name == "nt", reason="no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="no plain file"):
        read_log(tmp_path / "pipe")
