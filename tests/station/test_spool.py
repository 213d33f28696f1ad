"""A spool keeps events in order, over kills and a full disk, and within its size."""

import signal
import sqlite3
import subprocess
import sys

import pytest

from anomedge.errors import OutputError
from anomedge.station.spool import _MOST_IN_MEMORY, Mark, Spool
from anomedge.station.spool_file import NoSpace

LIMIT = 10**6


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.spool"


def deliver(spool):
    """Deliver the oldest event; its text and mark."""
    event = spool.head()
    spool.begin(event)
    spool.done(event)
    return event.text, event.repeated


def all_of(spool):
    return [deliver(spool) for _ in range(len(spool))]


def test_events_leave_in_order_and_do_not_come_back(path):
    spool = Spool(path, LIMIT)
    for text in "abc":
        spool.put(text)
    assert deliver(spool) == ("a", False)
    spool.close()
    spool = Spool(path, LIMIT)
    spool.put("d")
    assert all_of(spool) == [("b", False), ("c", False), ("d", False)]
    assert spool.head() is None
    spool.close()
    spool = Spool(path, LIMIT)
    assert (len(spool), spool.dropped, spool.faults()) == (0, 0, [])
    # Numbers go on, so that no new event looks like one that was sent.
    spool.put("e")
    assert all_of(spool) == [("e", False)]
    spool.close()


def test_an_attempt_that_may_have_arrived_leaves_a_mark_for_good(path):
    spool = Spool(path, LIMIT)
    spool.put("a")
    spool.begin(spool.head())
    spool.begin(spool.head())
    spool.not_sent()
    assert spool.head().repeated
    spool.close()
    spool = Spool(path, LIMIT)
    spool.put("b")
    assert all_of(spool) == [("a", True), ("b", False)]
    spool.close()


def test_the_newest_event_of_a_state_is_known_also_after_its_delivery(path):
    spool = Spool(path, LIMIT)
    assert spool.handed("x") is None
    spool.put("a", Mark("x", 1))
    spool.put("b", Mark("x", 2))
    spool.put("c")
    spool.put("d", Mark("y", 9))
    assert len(all_of(spool)) == 4
    spool.close()
    spool = Spool(path, LIMIT)
    assert (spool.handed("x"), spool.handed("y")) == (2, 9)
    spool.close()


def test_an_event_that_only_memory_has_is_not_safe(path):
    spool = Spool(path, LIMIT)
    disk = spool._database = FullDisk(spool._database)
    spool.put("a", Mark("x", 1))
    assert spool.handed("x") is None
    disk.full = False
    spool.put("b")
    assert spool.handed("x") == 1
    spool.close()


def test_a_strict_spool_delivers_only_what_the_disk_has(path):
    spool = Spool(path, LIMIT, strict=True)
    spool.put("a")
    event = spool.head()
    disk = spool._database = FullDisk(spool._database)
    assert not spool.begin(event)
    spool.put("b")
    disk.full = False
    assert spool.begin(event)
    disk.full = True
    spool.done(event)
    assert spool.head() is None
    disk.full = False
    assert spool.head() == (2, "b", False)
    spool.close()


def test_a_spool_of_an_earlier_version_is_taken_over(path):
    Spool(path, LIMIT).close()
    with sqlite3.connect(path) as database:
        database.execute("DROP TABLE handed")
        database.execute("INSERT INTO events VALUES (1, '{}')")
    database.close()
    spool = Spool(path, LIMIT)
    assert (len(spool), spool.faults(), spool.handed("x")) == (1, [], None)
    spool.close()


def test_an_attempt_that_sent_nothing_leaves_no_mark(path):
    spool = Spool(path, LIMIT)
    spool.put("a")
    spool.begin(spool.head())
    spool.not_sent()
    assert not spool.head().repeated
    spool.close()


KILLED = """
import os, sys
from pathlib import Path
from anomedge.station.spool import Spool

spool = Spool(Path(sys.argv[1]), 10**6)
for text in "abc":
    spool.put(text)
first = spool.head()
spool.begin(first)
spool.done(first)
spool.begin(spool.head())
os.kill(os.getpid(), 9)
"""


def test_a_kill_during_a_delivery_loses_nothing_and_marks_one(path):
    done = subprocess.run([sys.executable, "-c", KILLED, path])
    assert done.returncode == -signal.SIGKILL
    spool = Spool(path, LIMIT)
    assert spool.faults() == []
    assert all_of(spool) == [("b", True), ("c", False)]
    spool.close()


def test_a_full_queue_drops_its_oldest_and_says_so_once(path):
    spool = Spool(path, 10 * (100 + 64))
    for number in range(30):
        spool.put(f"{number:0100}")
    assert (len(spool), spool.dropped) == (10, 20)
    (said,) = spool.faults()
    assert "is full (1640 bytes): the oldest events are dropped" in said
    assert [int(text) for text, _ in all_of(spool)] == list(range(20, 30))
    for number in range(11):
        spool.put(f"{number:0100}")
    assert len(spool.faults()) == 1
    spool.close()


def test_the_event_that_is_being_delivered_is_not_dropped(path):
    spool = Spool(path, 3 * (100 + 64))
    spool.put(f"{0:0100}")
    event = spool.head()
    spool.begin(event)
    for number in range(1, 6):
        spool.put(f"{number:0100}")
    spool.done(event)
    assert [int(text) for text, _ in all_of(spool)] == [4, 5]
    assert spool.dropped == 3
    spool.close()


class FullDisk:
    """A connection that refuses to write while it is full."""

    def __init__(self, database):
        self.database, self.full = database, True

    def execute(self, text, *values):
        if self.full and text.startswith("BEGIN"):
            raise sqlite3.OperationalError("database or disk is full")
        return self.database.execute(text, *values)

    def __getattr__(self, name):
        return getattr(self.database, name)


def test_a_full_disk_keeps_events_in_memory_until_it_has_space(path):
    spool = Spool(path, LIMIT)
    spool.put("a")
    disk = spool._database = FullDisk(spool._database)
    for text in "bcd":
        spool.put(text)
    (said,) = spool.faults()
    assert "disk is full): events wait in memory" in said
    assert [deliver(spool) for _ in "ab"] == [("a", False), ("b", False)]
    disk.full = False
    spool.put("e")
    spool.close()
    spool = Spool(path, LIMIT)
    assert all_of(spool) == [("c", False), ("d", False), ("e", False)]
    assert spool.dropped == 0
    spool.close()


def test_memory_is_limited_too(path):
    spool = Spool(path, LIMIT)
    spool._database = FullDisk(spool._database)
    for number in range(_MOST_IN_MEMORY + 5):
        spool.put(str(number))
    assert (len(spool), spool.dropped) == (_MOST_IN_MEMORY, 5)
    assert deliver(spool) == ("5", False)
    assert len(spool.faults()) == 2
    spool.close()
    assert spool.dropped == 5 + _MOST_IN_MEMORY - 1


def test_an_event_being_delivered_from_memory_is_neither_dropped_nor_counted_twice(
    path,
):
    spool = Spool(path, LIMIT)
    spool._database = FullDisk(spool._database)
    spool.put("0")
    event = spool.head()
    spool.begin(event)
    for number in range(1, _MOST_IN_MEMORY + 3):
        spool.put(str(number))
    assert spool.dropped == 3
    spool.done(event)
    for number in range(5):
        spool.put(str(number))
    delivered = all_of(spool)
    assert delivered[0] == ("8", False)
    assert len(delivered) + 1 + spool.dropped == _MOST_IN_MEMORY + 8
    assert len(spool) == 0
    spool.close()


def test_a_disk_that_cannot_drop_or_read_keeps_the_order(path, monkeypatch):
    spool = Spool(path, 3 * (100 + 64))
    for number in range(3):
        spool.put(f"{number:0100}")
    disk = spool._database = FullDisk(spool._database)
    spool.put(f"{3:0100}")
    assert (len(spool), spool.dropped) == (4, 0)

    def unreadable(text, *values):
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(disk, "execute", unreadable, raising=False)
        assert spool.head() is None
    disk.full = False
    spool.put(f"{4:0100}")
    assert [int(text) for text, _ in all_of(spool)] == [2, 3, 4]
    assert spool.dropped == 2
    spool.close()


def test_a_full_disk_at_the_start_does_not_prevent_it(path, monkeypatch):
    def full(path):
        raise NoSpace("No space left on device")

    monkeypatch.setattr("anomedge.station.spool.open_spool_file", full)
    spool = Spool(path, LIMIT)
    spool.put("a")
    (said,) = spool.faults()
    assert "cannot be opened (No space left on device)" in said
    assert all_of(spool) == [("a", False)]
    spool.close()
    with pytest.raises(OutputError, match="make space"):
        Spool(path, LIMIT, strict=True)


def test_a_damaged_file_is_moved_aside_and_said(path):
    path.write_bytes(b"\0" * 5000)
    spool = Spool(path, LIMIT)
    (said,) = spool.faults()
    assert "was damaged (file is not a database) and is now" in said
    assert len(list(path.parent.glob("a.spool.damaged-*"))) == 1
    spool.put("a")
    assert all_of(spool) == [("a", False)]
    spool.close()


class Damaged(FullDisk):
    def execute(self, *_):
        raise sqlite3.DatabaseError("database disk image is malformed")


def test_a_file_that_breaks_during_a_run_is_replaced(path):
    spool = Spool(path, LIMIT)
    for text in "abc":
        spool.put(text)
    event = spool.head()
    spool.begin(event)
    spool._database = Damaged(spool._database)
    spool.put("d")
    spool.done(event)
    (said,) = spool.faults()
    assert "malformed): 3 events are lost" in said
    assert spool.dropped == 3
    spool.put("e")
    assert all_of(spool) == [("d", False), ("e", False)]
    assert len(spool) == 0
    spool.close()


def test_waits_end_with_an_event_and_at_the_end(path):
    spool = Spool(path, LIMIT)
    spool.put("a")
    spool.wait(60)
    spool.finish()
    spool.pause(60)
    assert spool.closing
    spool.close()


def test_the_file_is_bounded(path):
    spool = Spool(path, 100_000)
    for number in range(2000):
        spool.put(f"{number:0500}")
    spool.close()
    assert path.stat().st_size < 200_000
    assert not path.with_name("a.spool-wal").exists()
