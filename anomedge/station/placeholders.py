"""Placeholders of a command, such as {name}, and the environment variables with the same values.

A file's name is untrusted: `$(reboot).png` is a valid name, and a reason may quote it. A placeholder is therefore
refused where its value would be read as program text, not as data: within a shell's command line, and in the arguments
of programs that join theirs into one. There the values are read from environment variables, which a shell does not
parse again.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence

from anomedge.errors import InputError

__all__ = ["environment", "filled", "split_command"]

Values = Mapping[str, str]

_SAFE_FORM = """sh -c 'echo "$ANOMEDGE_NAME"'"""
_PLACEHOLDER = re.compile(r"\{(name|path|score|label|reason)\}")
_UNTRUSTED = re.compile(r"\{(name|path|reason)\}")
_SYNTAX = re.compile(r"[\s;&|<>()$`\"']")
_CODE_OPTION = re.compile(
    r"-[a-zA-Z]{0,3}c|-[a-zA-Z]{0,2}e|-S|--?(?i:command|eval|execute|expression|split-string)|/[cCkK]"
)
"""Options whose value is program text: `sh -ec`, `perl -e`, `env -S`, `cmd /c`, `powershell -Command`."""
_JOINING = {
    "adb",
    "cmd",
    "eval",
    "mosh",
    "parallel",
    "powershell",
    "pwsh",
    "rsh",
    "ssh",
    "watch",
}
"""Programs that join their arguments into one command line and have a shell parse it."""


def split_command(command: str, option: str = "--on-fail") -> list[str]:
    """Split the command of an option as a shell would, and check it.

    >>> split_command("echo {name}")
    ['echo', '{name}']

    Raises:
        InputError: the command cannot be split, its program is not found, or {name}, {path} or {reason} would be read as
            program text.
    """
    try:
        parts = shlex.split(command)
    except ValueError as error:
        raise InputError(
            f"got {option} {command!r}: {error}; expected a command with its arguments"
        ) from error
    if not parts or shutil.which(parts[0]) is None:
        raise InputError(
            f"got {option} {command!r}; expected a program that can be run, with its arguments: give its full path "
            f"(for a shell's syntax: {_SAFE_FORM})"
        )
    for part in _program_texts(parts):
        if _UNTRUSTED.search(part):
            raise InputError(
                f"got {option} {command!r}, where a file's name would become program text in {part!r}; expected "
                f"{{name}}, {{path}} and {{reason}} as plain arguments, or the environment variables: {_SAFE_FORM}"
            )
    return parts


def environment(values: Values) -> dict[str, str]:
    """This process's environment with a variable such as ANOMEDGE_NAME added for each value."""
    given = {
        f"ANOMEDGE_{key.upper()}": _not_an_option(value, key)
        for key, value in values.items()
    }
    return {**os.environ, **given}


def filled(part: str, values: Values) -> str:
    """Fill in the placeholders of one argument, in one pass: a name may itself hold braces."""
    return _PLACEHOLDER.sub(
        lambda match: _not_an_option(values[match[1]], match[1]), part
    )


def _not_an_option(value: str, key: str) -> str:
    """Put `./` before a text that begins with `-`, which a program would take for an option; a score is a number."""
    return f"./{value}" if key != "score" and value.startswith("-") else value


def _program_texts(parts: Sequence[str]) -> Iterator[str]:
    """Yield the arguments that some program reads as program text."""
    joined = after_option = False
    for part in parts:
        literal = _UNTRUSTED.sub("", part)
        if joined or after_option or (literal and _SYNTAX.search(literal)):
            yield part
        # `sh -c -e TEXT`: further options may stand between the option and the text.
        after_option = bool(_CODE_OPTION.fullmatch(part)) or (
            after_option and part.startswith(("-", "+"))
        )
        joined = joined or _program_name(part) in _JOINING


def _program_name(part: str) -> str:
    """Name of a program without its folder and `.exe`, in lower case; `.bat` and `.cmd` files are run by `cmd`."""
    name = re.split(r"[/\\]", part)[-1].lower()
    return (
        "cmd" if name.endswith((".bat", ".cmd")) else name.removesuffix(".exe")
    )
