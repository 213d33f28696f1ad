"""Commands run in order; a full queue makes its caller wait and loses nothing."""

import threading

from anomedge.station import command_queue
from anomedge.station.command_queue import CommandQueue
from anomedge.station.outcome import Outcome


class FakeCommand:
    """Runs once its gate is open, and notes the frames."""

    timeout = 60.0

    def __init__(self, noted):
        self.noted, self.gate = noted, threading.Event()
        self.killed = False

    def run(self, outcome):
        self.gate.wait(30)
        self.noted.append((self, outcome.name))

    def kill(self):
        self.killed = True


def outcome(name):
    return Outcome("{}", name, "normal")


def test_commands_of_several_options_run_in_the_order_of_their_frames():
    noted = []
    first, second = FakeCommand(noted), FakeCommand(noted)
    first.gate.set()
    second.gate.set()
    commands = CommandQueue(2)
    given = [(first, "1"), (second, "1"), (second, "2"), (first, "3")]
    for command, name in given:
        commands.submit(command, outcome(name))
    commands.close()
    assert noted == given


def test_a_full_queue_waits_and_loses_nothing():
    """The running command and one that waits leave no room for a third."""
    noted, waits = [], []
    command = FakeCommand(noted)
    commands = CommandQueue(1)

    def while_waiting():
        waits.append(commands.pending)
        if len(waits) == 2:
            command.gate.set()

    for number in range(3):
        commands.submit(command, outcome(str(number)), while_waiting)
    commands.close()
    assert waits[:2] == [1, 1]
    assert [name for _, name in noted] == ["0", "1", "2"]


def test_a_hanging_thread_is_no_sign_of_life(monkeypatch):
    monkeypatch.setattr(command_queue, "_GRACE", 0.0)
    command, waits = FakeCommand([]), []
    command.timeout = 0.0
    commands = CommandQueue(1)
    threading.Timer(0.5, command.gate.set).start()
    for number in range(3):
        commands.submit(command, outcome(str(number)), lambda: waits.append(1))
    commands.close()
    assert waits == []


def test_kill_kills_the_running_command():
    command = FakeCommand([])
    commands = CommandQueue()
    commands.kill()
    commands.submit(command, outcome("1"))
    while commands.pending:
        pass
    while not command.killed:
        commands.kill()
    command.gate.set()
    commands.close()


def test_no_thread_without_commands():
    before = threading.active_count()
    commands = CommandQueue()
    assert threading.active_count() == before
    commands.close()
    assert commands.pending == 0
