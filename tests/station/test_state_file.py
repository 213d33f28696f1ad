"""A state's file: its first content, what comes back, and the errors; `test_journal` damages files."""

import os
import sqlite3
from pathlib import Path

import pytest

from anomedge.errors import InputError, OutputError
from anomedge.station.sources._listing import Stamp
from anomedge.station.state_file import _refusal, open_state_file

BUNDLE, FOLDER = "d" * 64, Path("/frames")
LINE = '{"id": "t-%d", "label": "%s", "score": null, "name": "shown"}'


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "a.state"


def opened(path, bundle=BUNDLE, folder=FOLDER):
    return open_state_file(path, bundle, folder)


def changed(path, *statements):
    """Change a file as no station does."""
    with sqlite3.connect(path) as database:
        for statement in statements:
            database.execute(*statement)
    database.close()


def event(number, label="normal", name=b"a", line=None):
    row = (number, line or LINE % (number, label), name, 5, 7)
    return "INSERT INTO events VALUES (?, ?, ?, ?, ?)", row


def signal(number, output, begun):
    return "INSERT INTO signals VALUES (?, ?, ?)", (number, output, begun)


NUMBER = ("UPDATE state SET number = 9",)


def test_a_new_file_has_no_content_and_keeps_its_identity(path):
    first = opened(path)
    assert first[2:] == (BUNDLE, 0, False, {}, [])
    assert not first.database.in_transaction
    first.database.close()
    again = opened(path)
    assert again[1:] == first[1:]
    again.database.close()


def test_two_states_have_two_identities(path):
    first, second = opened(path), opened(path.with_name("b.state"))
    assert first.token != second.token
    first.database.close()
    second.database.close()


def test_the_content_comes_back_oldest_event_first(path):
    opened(path).database.close()
    changed(
        path,
        ("UPDATE state SET number = 9, listed = 1",),
        ("INSERT INTO parts VALUES (?, 5, 7, 'skipped', NULL)", (b"\xff",)),
        event(9, "undecided", b"\xff"),
        event(3, "anomalous"),
        signal(9, "line", 1),
        signal(9, "--on-fail", 0),
        signal(3, "line", 0),
    )
    found = opened(path)
    assert (found.number, found.listed) == (9, True)
    assert found.known == {os.fsdecode(b"\xff"): Stamp(5, 7)}
    first, second = found.pending
    assert (first.number, first.stamp) == (3, Stamp(5, 7))
    assert first.content["label"] == "anomalous"
    assert first.outputs == {"line": False}
    assert second.number == 9
    assert second.content["name"] == os.fsdecode(b"\xff")
    assert second.outputs == {"line": True, "--on-fail": False}
    found.database.close()


@pytest.mark.parametrize(
    "statements",
    [
        [NUMBER, event(0)],
        [NUMBER, event(1, "good")],
        [NUMBER, event(1, name="a")],
        [NUMBER, event(1, line="[]")],
        [("INSERT INTO state SELECT * FROM state",)],
        [("UPDATE state SET number = 'x'",)],
        [("INSERT INTO parts VALUES ('a', 5, 7, 'normal', 1.5)",)],
    ],
)
def test_rows_that_are_not_a_states_are_refused_and_left_alone(
    path, statements
):
    opened(path).database.close()
    changed(path, *statements)
    content = path.read_bytes()
    with pytest.raises(InputError, match="expected the state of a station"):
        opened(path)
    assert path.read_bytes() == content


def test_the_state_of_another_folder_is_refused_and_then_still_usable(path):
    opened(path).database.close()
    with pytest.raises(InputError, match=r"of the folder /frames; .* /other:"):
        opened(path, folder=Path("/other"))
    opened(path).database.close()


def test_the_bundle_of_the_last_run_is_kept(path):
    opened(path).database.close()
    again = opened(path, bundle="e" * 64)
    assert again.bundle == BUNDLE
    again.database.close()


def test_a_folder_in_the_place_of_the_file_is_an_output_error(path):
    path.mkdir(parents=True)
    with pytest.raises(OutputError, match="cannot write the state"):
        opened(path)


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (sqlite3.OperationalError("database is locked"), InputError, "another"),
        (sqlite3.OperationalError("disk is full"), OutputError, "is full"),
        (PermissionError(13, "Permission denied"), OutputError, "denied"),
        (sqlite3.DatabaseError("malformed"), InputError, "malformed"),
    ],
)
def test_errors_of_the_system_say_what_to_do(error, kind, said):
    refusal = _refusal(Path("a.state"), error)
    assert type(refusal) is kind
    assert said in str(refusal)
    assert "--state" in str(refusal)


def test_other_errors_are_raised_as_they_are():
    assert _refusal(Path("a.state"), KeyboardInterrupt()) is None


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE state SET folder = 5",
        "UPDATE state SET token = x'00'",
        "UPDATE state SET number = -1",
        "UPDATE state SET bundle = CAST(x'ff' AS TEXT)",
        "DROP TABLE parts",
    ],
)
def test_content_of_wrong_kinds_is_refused_as_damage(path, change):
    opened(path).database.close()
    changed(path, (change,))
    with pytest.raises(InputError, match="which cannot be used"):
        opened(path)
