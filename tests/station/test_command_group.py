"""The process group of commands: who is in it, and who ends with it."""

import os
import signal
import subprocess
import time

import pytest

from anomedge.station import command_group
from anomedge.station.command_group import CommandGroup

pytestmark = pytest.mark.skipif(os.name == "nt", reason="process groups")
can_join = pytest.mark.skipif(
    not command_group._CAN_JOIN, reason="needs Python 3.11"
)


@pytest.fixture
def group():
    made = CommandGroup()
    yield made
    made.close()


@pytest.fixture
def start():
    """Start a process that sleeps, in a group."""
    started = []

    def sleep_in(group):
        started.append(subprocess.Popen(["sleep", "60"], **group.arguments()))
        return started[-1]

    yield sleep_in
    for process in started:
        process.kill()
        process.wait()


def killed(process):
    return process.wait(10) == -signal.SIGKILL


def open_files():
    """How many files this process has open."""
    return sum(map(is_open, range(256)))


def is_open(number):
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


@can_join
def test_all_commands_are_in_one_group_that_is_not_the_stations(group, start):
    first, second = start(group), start(group)
    assert os.getpgid(first.pid) == os.getpgid(second.pid) == group._guard
    assert group._guard != os.getpgid(0)


@can_join
def test_a_kill_ends_all_of_the_group_and_the_next_gets_a_new_one(group, start):
    first, second = start(group), start(group)
    before = group._guard
    group.kill(first)
    assert killed(first)
    assert killed(second)
    third = start(group)
    assert group._guard not in {None, before}
    assert third.poll() is None


@can_join
def test_two_groups_do_not_end_together(group, start):
    other = CommandGroup()
    here, there = start(group), start(other)
    group.close()
    assert killed(here)
    assert there.poll() is None
    other.close()
    assert killed(there)


@can_join
def test_a_close_ends_the_group_and_may_be_repeated(group, start):
    process = start(group)
    guard = group._guard
    group.close()
    group.close()
    assert killed(process)
    with pytest.raises(ChildProcessError):
        os.waitpid(guard, 0)  # no zombie is left


@can_join
def test_a_group_that_nobody_refers_to_ends(start):
    process = start(CommandGroup())
    assert killed(process)


@can_join
def test_the_guard_ignores_the_signals_that_end_a_station(group, start):
    process = start(group)
    time.sleep(0.1)  # the guard's shell may not have set its trap before
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        os.kill(group._guard, number)
    assert group.arguments() == {"process_group": os.getpgid(process.pid)}


@can_join
def test_groups_leave_no_file_open(group):
    before = open_files()
    group.arguments()
    group.close()
    group.arguments()
    os.kill(group._guard, signal.SIGKILL)
    os.waitid(os.P_PID, group._guard, os.WEXITED | os.WNOWAIT)
    group.arguments()  # forgets the guard that has ended
    group.close()
    assert open_files() == before


@can_join
def test_a_shell_that_cannot_start_leaves_no_file_open(group, monkeypatch):
    monkeypatch.setattr(command_group, "_SHELL", "/no/such/shell")
    before = open_files()
    with pytest.raises(FileNotFoundError):
        group.arguments()
    assert open_files() == before
    monkeypatch.undo()
    assert group.arguments()["process_group"] == group._guard


def test_without_a_way_to_join_each_command_has_its_own_group(
    group, start, monkeypatch
):
    monkeypatch.setattr(command_group, "_CAN_JOIN", False)
    first, second = start(group), start(group)
    assert os.getpgid(first.pid) == first.pid
    group.kill(first)
    assert killed(first)
    assert second.poll() is None
    first.wait()
    group.kill(first)  # it has ended; there is nobody to kill
