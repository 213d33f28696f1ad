"""Choose the commands that run for a frame by its label."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from anomedge.errors import InputError
from anomedge.station.command import FrameCommand, Report
from anomedge.station.command_queue import CommandQueue, Reaction
from anomedge.station.done_folder import DoneFolder
from anomedge.station.journal import Journal
from anomedge.station.journaled_reaction import JournaledReaction
from anomedge.station.outcome import Outcome

__all__ = ["ReactionOptions", "Reactions"]


@dataclass(frozen=True)
class ReactionOptions:
    """Command lines of the reactions, and their limits.

    Args:
        on_pass: for every normal frame.
        on_fail: for every anomalous frame.
        on_error: for every undecided frame.
        fail_safe: run `on_fail` for every undecided frame too.
        timeout: of each command, in seconds.
        waiting: largest number of commands that wait.
    """

    on_pass: str | None = None
    on_fail: str | None = None
    on_error: str | None = None
    fail_safe: bool = False
    timeout: float = 10.0
    waiting: int = 4

    @property
    def lines(self) -> dict[str, str]:
        """Command line of each option that is given."""
        given = {
            "--on-fail": self.on_fail,
            "--on-error": self.on_error,
            "--on-pass": self.on_pass,
        }
        return {
            option: line for option, line in given.items() if line is not None
        }


class Reactions:
    """Runs the commands for a frame. All commands share one queue, so they run in the order of the frames.

    Args:
        options: command lines and limits.
        report: called with a frame's name and a message if a command cannot run, fails or times out.
        journal: stores the intent and success of each command.
        done: takes the files of decided frames, after the commands.

    Raises:
        InputError: a command cannot be used, or `fail_safe` is given without `on_fail`.
    """

    def __init__(
        self,
        options: ReactionOptions,
        report: Report,
        journal: Journal | None = None,
        done: DoneFolder | None = None,
    ) -> None:
        if options.fail_safe and options.on_fail is None:
            raise InputError(
                "got --fail-safe without --on-fail; expected the command that rejects a part: give --on-fail"
            )
        self._commands: dict[str, Reaction] = {
            option: FrameCommand(option, line, report, timeout=options.timeout)
            for option, line in options.lines.items()
        }
        if done is not None:
            done.report = report
            self._commands[done.option] = done
        if journal is not None:
            self._commands = {
                option: JournaledReaction(command, journal)
                for option, command in self._commands.items()
            }
        self._options = {
            "normal": ("--on-pass", DoneFolder.option),
            "anomalous": ("--on-fail", DoneFolder.option),
            # The part is rejected first; the operator can wait.
            "undecided": ("--on-fail", "--on-error")
            if options.fail_safe
            else ("--on-error",),
        }
        self._queue = CommandQueue(options.waiting)

    @property
    def pending(self) -> int:
        """Number of commands that wait."""
        return self._queue.pending

    def react(
        self,
        outcome: Outcome,
        while_waiting: Callable[[], None] = lambda: None,
    ) -> None:
        """Queue the commands for a frame; see `CommandQueue.submit`."""
        for option in self.options_for(outcome.label):
            self.submit(option, outcome, while_waiting)

    def options_for(self, label: str) -> list[str]:
        """Return the options of the commands for a label, in order."""
        return [
            option
            for option in self._options[label]
            if option in self._commands
        ]

    def submit(
        self, option: str, outcome: Outcome, while_waiting: Callable[[], None]
    ) -> None:
        """Queue the command of one option for a frame."""
        self._queue.submit(self._commands[option], outcome, while_waiting)

    def __contains__(self, option: str) -> bool:
        return option in self._commands

    def close(self) -> None:
        """Wait until every queued command has run; kill processes that they left behind."""
        self._queue.close()
        for command in self._commands.values():
            command.close()

    def kill(self) -> None:
        """Kill the running command and its process group."""
        self._queue.kill()
