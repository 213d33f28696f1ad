"""Output: a reader that leaves early, and text that cannot steer a terminal."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.table import Table

from anomedge.commands._console import SafeConsole, stdout_failure, wide_console


def test_a_reader_that_leaves_early_is_no_error(copy):
    done = subprocess.run(
        [
            "bash",
            "-c",
            f"'{sys.executable}' -m anomedge inspect '{copy}' --json | head -c 1",
        ],
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr
    assert "error" not in done.stderr


def shown(text, **options):
    console = SafeConsole(**options)
    with console.capture() as capture:
        console.print(text)
    return capture.get()


def test_control_characters_are_escaped_and_a_string_is_one_line():
    assert shown("a\x1b[2J\nb\u202e") == "a\\x1b[2J\\nb\\u202e\n"
    table = Table("name", box=None)
    table.add_row("c\x07.png")
    assert "c\\x07.png" in shown(table)


def test_brackets_and_colons_of_names_are_no_markup():
    assert shown("[red]part[/red] :smile:") == "[red]part[/red] :smile:\n"


def test_a_redirected_table_is_110_columns_wide(capsys):
    assert wide_console().width == 110


def refusing(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_message_that_cannot_be_written_is_dropped(monkeypatch):
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(write=refusing, flush=lambda: None))  # fmt: skip
    SafeConsole(stderr=True).print("x")
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(write=refusing, flush=lambda: None))  # fmt: skip
    with pytest.raises(OSError, match="No space left"):
        SafeConsole().print("x")


def test_a_full_disk_behind_standard_output_is_one_line():
    code = """
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.table import Table

from anomedge.commands._console import SafeConsole, stdout_failure, wide_console
from anomedge.commands._console import checked_stdout, stdout_failure
with checked_stdout():
    print("x")
    try:
        sys.stdout.flush()
    except OSError:
        pass
    sys.stderr.write(str(stdout_failure()))
"""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(
        "cannot write to standard output: No space left on device; redirect"
    )


def test_without_a_failed_write_there_is_no_failure():
    assert stdout_failure() is None
