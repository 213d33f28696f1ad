"""A spool's file is opened by one process, and only if it is a spool."""

import sqlite3

import pytest

from anomedge.errors import InputError, OutputError
from anomedge.station.spool_file import (
    DamagedSpool,
    NoSpace,
    _refusal,
    move_aside,
    open_spool_file,
)


def test_a_new_file_is_empty_and_keeps_its_content(tmp_path):
    path = tmp_path / "new" / "a.spool"
    first = open_spool_file(path)
    assert first[1:] == (0, 0, 0, 0)
    first.database.execute("INSERT INTO events VALUES (7, '{}')")
    first.database.execute("UPDATE progress SET sent = 6")
    first.database.close()
    again = open_spool_file(path)
    assert again[1:] == (1, 2, 7, 6)
    again.database.close()


def test_a_second_user_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("anomedge.station.database_file._LOCK_TIMEOUT", 0.01)
    first = open_spool_file(tmp_path / "a.spool")
    with pytest.raises(InputError, match="give each its own --spool"):
        open_spool_file(tmp_path / "a.spool")
    first.database.close()
    open_spool_file(tmp_path / "a.spool").database.close()


def statement(text):
    def damage(path):
        with sqlite3.connect(path) as database:
            database.execute(text)
        database.close()

    return damage


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.write_bytes(b"no database" * 100), "not a database"),
        (
            statement("CREATE TRIGGER t AFTER DELETE ON events BEGIN SELECT 1; END"),
            "another schema",
        ),
        (statement("INSERT INTO events VALUES (-1, '')"), "no events"),
        (statement("INSERT INTO events VALUES (1, x'00')"), "no events"),
        (statement("DELETE FROM progress"), "progress"),
        (statement("UPDATE progress SET sent = 'x'"), "progress"),
        (statement("UPDATE progress SET sent = -1"), "progress"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_spool_is_named_and_moved_aside(
    damage, reason, tmp_path
):
    path = tmp_path / "a.spool"
    open_spool_file(path).database.close()
    damage(path)
    content = path.read_bytes()
    with pytest.raises(DamagedSpool, match=reason):
        open_spool_file(path)
    kept = move_aside(path)
    assert kept.name.startswith("a.spool.damaged-2")
    assert (kept.read_bytes(), path.exists()) == (content, False)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="give --spool a folder"):
        open_spool_file(tmp_path / "file" / "a.spool")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(28, "No space left on device"), NoSpace),
        (OSError(122, "Disk quota exceeded"), NoSpace),
        (sqlite3.OperationalError("database or disk is full"), NoSpace),
        (sqlite3.OperationalError("disk I/O error"), NoSpace),
        (sqlite3.OperationalError("unable to open database file"), OutputError),
        (PermissionError(13, "Permission denied"), OutputError),
    ],
)
def test_a_full_disk_is_told_from_a_wrong_path(error, kind, tmp_path):
    assert type(_refusal(tmp_path, error)) is kind
