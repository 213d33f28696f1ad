"""Every sink of a station gets every event with one identifier; their spools have names of their own."""

import io
import json
import sqlite3
from pathlib import Path

import pytest

from anomedge.errors import InputError
from anomedge.station import EventWriter
from anomedge.station.deliveries import default_spool_folder, open_sinks

LIMIT = 10**6


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def run(folder, *sinks):
    """Write a run's events; the output lines."""
    stream = io.StringIO()
    writer = EventWriter(stream, open_sinks(sinks, folder / "spool", LIMIT))
    writer.write("started", source="x")
    writer.write("frame", number=1, name="a\udcff.png", score=0.5)
    writer.error("b.png", "broken")
    writer.write("heartbeat", frames=1)
    writer.write("stopped", frames=1)
    return lines(stream.getvalue())


def test_all_sinks_get_the_events_of_the_lines(tmp_path):
    addresses = [
        str(tmp_path / name) for name in ("a.jsonl", "b.csv", "c.sqlite")
    ]
    said = run(tmp_path, *addresses)
    sent = lines((tmp_path / "a.jsonl").read_text())
    kinds = ["started", "frame", "error", "stopped"]
    assert [event["event"] for event in sent] == kinds
    ids = [line["id"] for line in said if line["event"] in kinds]
    assert [event["id"] for event in sent] == ids
    assert len(set(ids)) == 4
    assert sent[1]["name"] == "a\\xff.png"
    rows = (tmp_path / "b.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["id", *ids]
    with sqlite3.connect(tmp_path / "c.sqlite") as database:
        found = database.execute("SELECT id FROM events ORDER BY time, id")
        assert {row[0] for row in found} == set(ids)
    database.close()
    assert said[-1]["event"] == "stopped"
    assert [sink["delivered"] for sink in said[-1]["sinks"]] == [4, 4, 4]
    assert [sink["name"] for sink in said[-1]["sinks"]] == addresses


def test_a_second_run_has_other_identifiers(tmp_path):
    first = run(tmp_path, str(tmp_path / "a.jsonl"))
    second = run(tmp_path, str(tmp_path / "a.jsonl"))
    assert not {line.get("id") for line in first if "id" in line} & {
        line.get("id") for line in second
    }


def test_events_that_stay_are_delivered_by_the_next_run_first(tmp_path):
    target = tmp_path / "a.jsonl"
    target.mkdir()
    with pytest.raises(InputError, match="a folder; expected a file"):
        run(tmp_path, str(target))
    target.rmdir()
    writer = EventWriter(
        io.StringIO(), open_sinks([str(target)], tmp_path / "spool", LIMIT)
    )
    target.mkdir()
    writer.write("started")
    writer.write("frame", number=1)
    writer.write("stopped")
    target.rmdir()
    run(tmp_path, str(target))
    events = [line["event"] for line in lines(target.read_text())]
    assert events[:4] == ["started", "frame", "stopped", "started"]
    assert len(events) == 7


def test_a_stream_that_fails_does_not_keep_events_from_the_sinks(tmp_path):
    class Gone(io.StringIO):
        def write(self, _):
            raise BrokenPipeError

    sinks = open_sinks([str(tmp_path / "a.jsonl")], tmp_path / "spool", LIMIT)
    writer = EventWriter(Gone(), sinks)
    for event in ("started", "frame", "stopped"):
        writer.write(event)
    assert writer.closed
    assert len(lines((tmp_path / "a.jsonl").read_text())) == 3


def test_faults_of_spools_are_lines_but_not_events(tmp_path):
    address = str(tmp_path / "a.jsonl")
    run(tmp_path, address)
    (file,) = (tmp_path / "spool").iterdir()
    file.write_bytes(b"no database" * 999)
    said = run(tmp_path, address)
    errors = [line for line in said if line["event"] == "error"]
    assert any("was damaged" in line["message"] for line in errors)
    assert said[-1]["event"] == "stopped"
    sent = lines((tmp_path / "a.jsonl").read_text())
    assert not any("damaged" in event.get("message", "") for event in sent)


def test_wrong_use_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("anomedge.station.database_file._LOCK_TIMEOUT", 0.01)
    address = str(tmp_path / "a.jsonl")
    assert open_sinks([], None, LIMIT) is None
    with pytest.raises(InputError, match="twice; expected each sink once"):
        open_sinks([address, address], tmp_path, LIMIT)
    sinks = open_sinks([address], tmp_path, LIMIT)
    with pytest.raises(InputError, match="another process uses the spool"):
        open_sinks([address], tmp_path, LIMIT)
    sinks.finish()


def test_the_folder_of_spools_is_the_users(monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert default_spool_folder() == Path("/state/anomedge/spool")
    monkeypatch.setenv("XDG_STATE_HOME", "")
    monkeypatch.setenv("HOME", "/home/me")
    expected = Path("/home/me/.local/state/anomedge/spool")
    assert default_spool_folder() == expected
