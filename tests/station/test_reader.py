"""A closed reading end of a pipe is noticed; files and open pipes have none."""

import io
import os
import select
import socket

import pytest

from anomedge.station.reader import has_lost_reader

pytestmark = pytest.mark.skipif(
    not hasattr(select, "poll"), reason="the system cannot tell"
)


def test_a_pipe_has_lost_its_reader_once_that_is_closed():
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        assert not has_lost_reader(stream)
        os.close(reading)
        assert has_lost_reader(stream)


def test_a_full_pipe_has_a_reader():
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with pytest.raises(BlockingIOError):
        while os.write(writing, bytes(4096)):
            pass
    with os.fdopen(writing, "w") as stream, os.fdopen(reading):
        assert not has_lost_reader(stream)


def test_files_have_no_reader_to_lose(tmp_path):
    with (tmp_path / "lines").open("w") as stream:
        assert not has_lost_reader(stream)
    assert not has_lost_reader(stream)
    assert not has_lost_reader(io.StringIO())
    with open(os.devnull, "w") as stream:  # noqa: PTH123
        assert not has_lost_reader(stream)


def test_the_journal_is_a_reader_that_only_reads():
    """systemd's journal gives a service a socket of which both ends close the other direction."""
    service, journal = socket.socketpair()
    service.shutdown(socket.SHUT_RD)
    journal.shutdown(socket.SHUT_WR)
    with service, service.makefile("w") as stream:
        assert not has_lost_reader(stream)
        journal.close()
        assert has_lost_reader(stream)
