"""A station's state: what it keeps over a kill, and the files that it refuses."""

import os
import sqlite3
from pathlib import Path

import pytest

from anomedge.errors import InputError, OutputError, StateLost
from anomedge.station.journal import Journal
from anomedge.station.sources._listing import Stamp

FOLDER = Path("/frames")
STAMP = Stamp(5, 7)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.state"


def opened(path, **more):
    return Journal(path, "d" * 64, FOLDER, **more)


def event(name, label="normal"):
    return {"event": "frame", "name": name, "label": label, "score": 1.5}


def record(journal, name, stamp=STAMP):
    return journal.record(event(name), stamp, now=["line"], later=["--on-pass"])


def test_what_was_decided_and_not_signalled_comes_first_after_a_kill(path):
    journal = opened(path)
    first, second = record(journal, "a"), record(journal, "b")
    journal.done(first.number, ["line"])
    journal.begin(first.number, "--on-pass")
    journal.close()
    again = opened(path)
    assert again.known() == {"a": STAMP, "b": STAMP}
    assert [entry.content for entry in again.pending] == [
        first.content,
        second.content,
    ]
    assert [entry.outputs for entry in again.pending] == [
        {"--on-pass": True},
        {"line": True, "--on-pass": False},
    ]
    assert again.mark(again.pending[1]) == journal.mark(second)
    again.close()


def test_an_identifier_is_never_given_again(path):
    journal = opened(path)
    entry = record(journal, "a")
    journal.done(entry.number, ["line", "--on-pass"])
    journal.keep_only([])
    journal.close()
    journal = opened(path)
    assert (journal.pending, journal.known()) == ([], {})
    assert record(journal, "a").content["id"] != entry.content["id"]
    journal.close()


def test_a_name_that_is_overwritten_is_another_part(path):
    journal = opened(path)
    record(journal, "a")
    record(journal, "a", Stamp(6, 7))
    journal.close()
    again = opened(path)
    assert again.known() == {"a": Stamp(6, 7)}
    assert len(again.pending) == 2
    again.close()


def test_a_name_that_is_not_unicode_comes_back(path):
    name = os.fsdecode(b"\xff.png")
    journal = opened(path)
    record(journal, name)
    journal.close()
    again = opened(path)
    assert set(again.known()) == {again.pending[0].content["name"]} == {name}
    again.close()


def test_files_that_are_gone_leave_the_state_but_their_signals_stay(path):
    journal = opened(path)
    record(journal, "a")
    record(journal, "b")
    journal.keep_only(["b", "c"])
    journal.close()
    again = opened(path)
    assert set(again.known()) == {"b"}
    assert len(again.pending) == 2
    again.close()


def test_only_the_first_run_skips_the_files_of_its_first_listing(path):
    journal = opened(path)
    assert journal.first_skip({"old": STAMP}) == {"old": STAMP}
    journal.close()
    again = opened(path)
    assert again.known() == {"old": STAMP}
    assert again.first_skip({"old": STAMP, "new": STAMP}) == {}
    again.close()


def test_outputs_that_have_all_earlier_events_are_done_up_to_a_number(path):
    journal = opened(path)
    for name in "abc":
        journal.record(event(name), STAMP, now=["sink x"], later=[])
    journal.done(3, [], {"sink x": 2})
    journal.close()
    again = opened(path)
    assert [entry.number for entry in again.pending] == [3]
    again.close()


def test_the_state_of_another_folder_is_refused(path):
    opened(path).close()
    with pytest.raises(InputError, match="/frames"):
        Journal(path, "d" * 64, Path("/x"))


def test_a_station_may_go_on_with_another_bundle(path):
    journal = opened(path)
    assert journal.last_bundle == "d" * 64
    journal.set_bundle("e" * 64)
    journal.close()
    again = opened(path)
    assert again.last_bundle == "e" * 64
    again.close()


def test_a_second_station_is_refused(path, monkeypatch):
    monkeypatch.setattr("anomedge.station.database_file._LOCK_TIMEOUT", 0.01)
    first = opened(path)
    with pytest.raises(InputError, match="another process uses the state"):
        opened(path)
    first.close()
    opened(path).close()


def statement(text):
    def damage(path):
        with sqlite3.connect(path) as database:
            database.execute(text)
        database.close()

    return damage


def truncated(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"no database" * 100),
        truncated,
        statement("CREATE TABLE users (name TEXT)"),
        statement("DELETE FROM state"),
        statement("UPDATE state SET number = 0"),
        statement("UPDATE parts SET mtime = 'x'"),
        statement("UPDATE events SET line = '{\"id\": 1}'"),
        statement("UPDATE events SET line = 'half'"),
        statement("DELETE FROM events"),
        statement("UPDATE signals SET begun = 2"),
    ],
)
def test_a_file_that_is_no_state_is_refused_and_left_alone(path, damage):
    journal = opened(path)
    record(journal, "a")
    journal.close()
    damage(path)
    content = path.read_bytes()
    with pytest.raises(InputError, match="which cannot be used"):
        opened(path)
    assert path.read_bytes() == content


def test_another_database_is_refused_and_left_alone(path):
    statement("CREATE TABLE users (name TEXT)")(path)
    content = path.read_bytes()
    with pytest.raises(InputError, match="another schema"):
        opened(path)
    assert path.read_bytes() == content


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="give --state a file"):
        opened(tmp_path / "file" / "a.state")


def test_nothing_is_stored_or_begun_after_the_disk_is_full(path):
    journal = opened(path)
    entry = record(journal, "a")
    pages = journal._database.execute("PRAGMA page_count").fetchone()[0]
    journal._database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StateLost, match="is full"):
        for number in range(99):
            record(journal, f"b{number}" * 99)
    journal._database.execute("PRAGMA max_page_count = 9999")
    with pytest.raises(StateLost):
        journal.begin(entry.number, "--on-pass")
    with pytest.raises(StateLost):
        journal.check()
    journal.close()
