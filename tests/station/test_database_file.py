"""SQLite files: one process, one schema; another file is left as it was."""

import sqlite3
import stat
import threading

import pytest

from anomedge.station import database_file
from anomedge.station.database_file import (
    DamagedFile,
    check_pages,
    connect,
    prepare,
)

ONE = "CREATE TABLE one (number INTEGER PRIMARY KEY, text TEXT)"
TWO = "CREATE TABLE two (number INTEGER)"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "a.db"


@pytest.fixture
def opened(path):
    """Open the file; close all connections at the end."""
    connections = []

    def opening():
        connections.append(connect(path))
        return connections[-1]

    yield opening
    for connection in connections:
        connection.close()


def test_the_folder_of_a_new_file_is_only_the_users(path, opened):
    opened()
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_file_in_the_place_of_its_folder_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        connect(tmp_path / "file" / "a.db")


def test_a_folder_in_the_place_of_the_file_is_an_error(path):
    path.mkdir(parents=True)
    with pytest.raises(sqlite3.OperationalError):
        connect(path)


def test_missing_tables_are_created_in_a_transaction(opened):
    first = opened()
    assert prepare(first, [ONE]) == [ONE]
    assert first.in_transaction
    first.execute("COMMIT")
    first.close()
    second = opened()
    assert prepare(second, [ONE, TWO]) == [TWO]
    second.execute("COMMIT")
    second.close()
    assert prepare(opened(), [ONE, TWO]) == []


def test_tables_that_were_not_committed_are_missing_again(opened):
    first = opened()
    prepare(first, [ONE])
    first.close()
    assert prepare(opened(), [ONE]) == [ONE]


@pytest.mark.parametrize(
    "other",
    [TWO, ONE.replace("text TEXT", "text BLOB"), "CREATE VIEW v AS SELECT 1"],
    ids=["table", "column", "view"],
)
def test_a_file_of_another_schema_is_refused_and_left_alone(
    other, path, opened
):
    first = opened()
    first.execute(other)
    first.close()
    content = path.read_bytes()
    second = opened()
    with pytest.raises(DamagedFile, match="another schema"):
        prepare(second, [ONE])
    second.close()
    assert path.read_bytes() == content
    assert [each.name for each in path.parent.iterdir()] == ["a.db"]


def test_a_file_that_is_no_database_is_refused_and_left_alone(path, opened):
    path.parent.mkdir()
    path.write_bytes(b"no database" * 100)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        prepare(opened(), [ONE])
    assert path.read_bytes() == b"no database" * 100


def test_a_file_has_one_user_also_between_transactions(opened, monkeypatch):
    monkeypatch.setattr(database_file, "_LOCK_TIMEOUT", 0.01)
    first = opened()
    prepare(first, [ONE])
    first.execute("COMMIT")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        prepare(opened(), [ONE])
    first.close()
    assert prepare(opened(), [ONE]) == []


def test_changes_are_kept_in_a_log(path, opened):
    database = opened()
    prepare(database, [ONE])
    database.execute("COMMIT")
    assert path.with_name("a.db-wal").exists()
    assert not path.with_name("a.db-shm").exists()


def test_another_thread_may_use_the_connection(opened):
    database = opened()
    prepare(database, [ONE])
    thread = threading.Thread(
        target=database.execute, args=["INSERT INTO one VALUES (7, 'x')"]
    )
    thread.start()
    thread.join()
    assert database.execute("SELECT * FROM one").fetchall() == [(7, "x")]


def test_a_damaged_page_is_found(path, opened):
    first = opened()
    prepare(first, [ONE])
    first.execute("INSERT INTO one VALUES (1, 'x')")
    first.execute("COMMIT")
    check_pages(first)
    first.close()
    content = bytearray(path.read_bytes())
    content[4096 + 5 : 4096 + 7] = b"\x00\x01"  # where the cells begin
    path.write_bytes(content)
    second = opened()
    prepare(second, [ONE])
    with pytest.raises(DamagedFile):
        check_pages(second)
