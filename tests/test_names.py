"""Names from outside: what a terminal, a file and a message get to see of them."""

import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from rich.table import Table
from rich.text import Text

from anomedge.commands._bundle_tables import _plain_table
from anomedge.commands._console import SafeConsole
from anomedge.commands._exit_codes import run_to_exit_code
from anomedge.errors import InputError
from anomedge.names import (
    indented,
    printable,
    printable_lines,
    printable_message,
    storable,
)

FULL = Path("/dev/full")
HOSTILE = (
    "a\x1b[2J\x07\x9b31mb\u202ec\u2066d\u200fe\u061cf\udcff[red]:bomb:.png"
)
SHOWN = "a\\x1b[2J\\x07\\x9b31mb\\u202ec\\u2066d\\u200fe\\u061cf\\udcff[red]:bomb:.png"


def test_what_a_terminal_obeys_is_escaped():
    assert printable(HOSTILE) == SHOWN
    assert printable("a\nb") == "a\\nb"
    assert printable_lines("a\nb\r") == "a\nb\\r"
    assert printable_message("a\nb:\n  c") == "a\\nb:\n  c"
    assert printable("Größe 漢字 [x].png") == "Größe 漢字 [x].png"


def test_what_no_file_can_hold_is_escaped_and_nothing_else():
    assert (
        storable("a\udcff\ud800\x1b\u202e.png") == "a\\xff\\ud800\x1b\u202e.png"
    )
    storable(HOSTILE).encode()


def test_lines_of_a_message_are_bounded_and_single():
    assert indented(["a\nerror: b"] * 12).count("\n") == 11
    assert indented(["a\nerror: b"] * 12).endswith("and 2 more")


def test_a_name_begins_no_line_of_a_message():
    shown = str(InputError(f"a\nerror: b:{indented(['c', 'd'])}"))
    assert shown == "a\\nerror: b:\n  c\n  d"


def test_a_printed_string_is_one_line():
    console = SafeConsole(width=200)
    console.file = io.StringIO()
    console.print("a\nb", Text("c"))
    assert console.file.getvalue() == "a\\nb c\n"


def test_a_row_of_a_bundle_or_model_is_one_line():
    table = _plain_table()
    table.add_row("name", "a\nb")
    console = SafeConsole(width=200)
    console.file = io.StringIO()
    console.print(table)
    assert console.file.getvalue().split() == ["name", "a\\nb"]


@pytest.mark.parametrize(
    "kind", ["text", "string", "cell", "styled cell", "title"]
)
def test_a_console_prints_no_escape_sequence_of_a_name(kind):
    table = Table("name", title=HOSTILE if kind == "title" else None)
    table.add_row(
        Text(HOSTILE, "red")
        if kind == "styled cell"
        else HOSTILE
        if kind == "cell"
        else "x"
    )
    shown = {"text": Text(HOSTILE), "string": HOSTILE}.get(kind, table)
    console = SafeConsole(width=200)
    console.file = io.StringIO()
    console.print(shown)
    if kind in {
        "string",
        "cell",
        "title",
    }:  # of a styled text, rich itself drops some controls
        assert SHOWN in console.file.getvalue()
    assert not set("\x1b\x07\x9b\u202e\u2066\u200f\u061c\udcff") & set(
        console.file.getvalue()
    )


@pytest.mark.filterwarnings("default::UserWarning")
def test_warnings_and_errors_are_escaped(capfd):
    import warnings

    def command(_):
        warnings.warn(HOSTILE, stacklevel=1)
        raise InputError(HOSTILE)

    assert run_to_exit_code(command, []) == 2
    said = capfd.readouterr().err
    assert f"warning: {SHOWN}" in said
    assert f"error: {SHOWN}" in said
    assert "\x1b" not in said


PRINTING = {
    "json": "typer.echo(b'[1]', nl=False)",
    "table": "SafeConsole().print('a row')",
    "buffered": "print('x')",
    "help": "application()(['predict', '--help'], prog_name='anomedge')",
}


@pytest.mark.skipif(not FULL.exists(), reason="this system has no full device")
@pytest.mark.parametrize("how", PRINTING)
def test_a_full_standard_output_is_one_line_and_exit_2(how):
    code = f"""
import sys, typer
from anomedge.__main__ import application
from anomedge.commands._exit_codes import run_to_exit_code
from anomedge.commands._console import SafeConsole
def command(_):
    {PRINTING[how]}
sys.exit(run_to_exit_code(command, []))
"""
    with FULL.open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 2, done.stderr
    said = "error: cannot write to standard output: No space left on device; redirect it to a place with free space\n"
    assert done.stderr == said


def test_an_error_of_another_file_is_not_blamed_on_standard_output(capfd):
    def command(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "cache")

    assert run_to_exit_code(command, []) == 2
    said = capfd.readouterr().err
    assert "OSError: [Errno 28]" in said
    assert "standard output" not in said


def test_json_stays_exact(capfd):
    assert (
        run_to_exit_code(lambda _: typer.echo(json.dumps("a\x1b\u202e")), [])
        == 0
    )
    assert json.loads(capfd.readouterr().out) == "a\x1b\u202e"
