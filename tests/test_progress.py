"""Progress in a log: few lines, none for short work, on standard error only."""

import io
import sys

import pytest

from anomedge import progress
from anomedge.progress import waiting


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test advances; `clock[0]` is the time in seconds."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def lines_of(capfd, clock, seconds, total, known=True):
    """The lines written while items are worked on for equal times."""
    items = progress.track(range(total), "fitting", total if known else None)
    for _ in items:
        clock[0] += seconds / total
    said = capfd.readouterr()
    assert said.out == ""
    return said.err.splitlines()


def test_short_work_writes_nothing(capfd, clock):
    assert lines_of(capfd, clock, 4.9, 100) == []


def test_the_first_line_comes_after_five_seconds(capfd, clock):
    assert lines_of(capfd, clock, 12.5, 100) == [
        "fitting: 40 of 100 (5 s)",
        "fitting: done (12 s)",
    ]


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("seconds", [20, 60, 900, 36_000])
def test_lines_are_few(capfd, clock, seconds, known):
    count = len(lines_of(capfd, clock, seconds, 2000, known))
    assert 2 <= count <= 2 + max(seconds / 10, 1)
    assert count <= 13 + seconds / 60


def test_long_work_writes_at_least_once_a_minute(capfd, clock):
    lines = lines_of(capfd, clock, 36_000, 36_000)
    assert len(lines) >= 600


def test_a_build_says_what_it_does(capfd, clock):
    with progress.waiting("building") as say:
        say("step 1")
        clock[0] += 6
        say("step 2")
        clock[0] += 6
        say("step 3")
    assert capfd.readouterr().err.splitlines() == [
        "building: step 2 (6 s)",
        "building: done (12 s)",
    ]


def test_failed_work_is_not_called_done(capfd, clock):
    def work():
        with progress.waiting("building") as say:
            clock[0] += 6
            say("step 1")
            raise ValueError

    with pytest.raises(ValueError):
        work()
    assert capfd.readouterr().err == "building: step 1 (6 s)\n"


def test_a_closed_log_does_not_end_the_work(monkeypatch, clock):
    class Closed:
        def isatty(self):
            return False

        def write(self, _):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stderr", Closed())
    for _ in progress.track(range(3), "fitting", 3):
        clock[0] += 6


def test_the_line_on_a_terminal_has_no_markup(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    with waiting("building part") as say:
        say("timing [conv] 1/2")
    assert "building part: timing [conv] 1/2" in sys.stderr.getvalue()
