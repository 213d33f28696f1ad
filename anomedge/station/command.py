"""A command that runs for a frame, such as the one that ejects a part."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from anomedge.station.command_group import CommandGroup
from anomedge.station.outcome import Outcome
from anomedge.station.placeholders import environment, filled, split_command

__all__ = ["FrameCommand", "Report"]

Report = Callable[[str, str], None]
"""Called with the name of a frame and the message of an error."""

_STDERR = 2


class FrameCommand:
    """Runs a command line for one frame at a time.

    The command runs without a shell: it is split as a shell splits, then the placeholders are replaced. The same values
    are in environment variables, for shell commands, where {name}, {path} and {reason} are refused because a file's name
    must not become program text. A value that begins with `-` is passed as `./-...`. The frame's JSON line is the
    command's standard input; its standard output goes to standard error. Its process group is killed as a whole after
    the timeout, and when the station ends.

    Args:
        option: the option that gave the command, for messages.
        command: the command line.
        report: called if the command cannot run, fails or times out.
        timeout: in seconds.

    Raises:
        InputError: see `placeholders.split_command`.
    """

    def __init__(
        self,
        option: str,
        command: str,
        report: Report,
        *,
        timeout: float = 10.0,
    ) -> None:
        self.option = option
        self.timeout = timeout
        self._parts = split_command(command, option)
        self._report = report
        self._group = CommandGroup()
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, outcome: Outcome) -> None:
        """Run the command for a frame and wait for its end."""
        try:
            self._run(outcome)
        # No memory, no permission, or a name with a NUL character.
        except (OSError, ValueError) as error:
            self._report(outcome.name, f"{self.option} could not run ({error})")

    def kill(self) -> None:
        """Kill the running command and its process group."""
        process = self._process
        if process is not None and process.returncode is None:
            self._group.kill(process)

    def close(self) -> None:
        """Kill processes that the command has left behind."""
        self._group.close()

    def _run(self, outcome: Outcome) -> None:
        values = outcome.values
        arguments = [filled(part, values) for part in self._parts]
        # Without a shell; standard output is reserved for the JSON lines.
        with subprocess.Popen(  # noqa: S603
            arguments,
            stdin=subprocess.PIPE,
            stdout=_STDERR,
            env=environment(values),
            **self._group.arguments(),
        ) as process:
            self._process = process
            try:
                line = f"{outcome.line}\n".encode()
                process.communicate(line, timeout=self.timeout)
            except subprocess.TimeoutExpired:
                self._group.kill(process)
                self._report(
                    outcome.name,
                    f"{self.option} took longer than {self.timeout:g} seconds and was killed",
                )
                return
        if process.returncode:
            self._report(
                outcome.name,
                f"{self.option} ended with {process.returncode}; expected 0",
            )
