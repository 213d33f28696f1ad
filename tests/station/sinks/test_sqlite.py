"""A database has one row per event, repeats included once."""

import json
import sqlite3

import pytest

from anomedge.station.sinks import open_sink
from anomedge.station.sinks.base import SinkDown
from tests.station.sinks.events import frame, undecided


def rows(path):
    database = sqlite3.connect(path)
    try:
        return database.execute("SELECT * FROM events ORDER BY id").fetchall()
    finally:
        database.close()


def test_events_are_rows_and_repeats_are_one(tmp_path):
    sink = open_sink(str(tmp_path / "a.sqlite"))
    sink.idle()
    sink.send(frame(1))
    sink.send(frame(1, repeated=True))
    sink.send(undecided(2))
    sink.idle()
    assert len(rows(tmp_path / "a.sqlite")) == 2
    sink.close()
    first, second = rows(tmp_path / "a.sqlite")
    assert first[:1] + first[2:7] == (
        "run-1", "frame", 1, "1.png", "anomalous", 1.5,
    )  # fmt: skip
    assert json.loads(first[7]) == frame(1)
    assert second[5:7] == ("undecided", None)


def test_a_database_that_is_locked_or_no_database_is_down(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("anomedge.station.sinks.sqlite._BUSY_TIMEOUT", 0.01)
    path = tmp_path / "a.db"
    sink = open_sink(str(path))
    sink.send(frame(1))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(SinkDown, match="locked") as down:
        sink.send(frame(2))
    assert not down.value.sent
    other.execute("ROLLBACK")
    other.close()
    sink.send(frame(2))
    sink.close()
    assert len(rows(path)) == 2
    path.write_bytes(b"no database" * 100)
    with pytest.raises(SinkDown, match="not a database"):
        sink.send(frame(3))
