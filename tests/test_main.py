"""The program: its version, its verbs, its exit code."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from anomedge import __main__ as program
from anomedge.__main__ import application, run_command
from anomedge.station import READER_THREAD
from tests.commands.running import run


def test_version_and_bare_call(capsys):
    from anomedge import __version__

    assert run("--version") == 0
    assert capsys.readouterr().out.strip() == __version__
    assert run() == 2


def test_the_shell_completes(tmp_path):
    environment = os.environ | {
        "_ANOMEDGE_COMPLETE": "complete_bash",
        "COMP_WORDS": "anomedge ver",
        "COMP_CWORD": "1",
    }
    program = Path(sys.executable).with_name("anomedge")
    done = subprocess.run(
        [program], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["verify"], done
    environment |= {"COMP_WORDS": "anomedge bench --ru", "COMP_CWORD": "2"}
    done = subprocess.run(
        [program], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["--runtime"], done


def names_of(app):
    return {command.name for command in app.registered_commands}


def test_one_verb_is_registered_alone():
    assert names_of(application("verify")) == {"verify"}
    assert application("verify").registered_callback is None
    assert names_of(application("import_model")) == {"import"}
    assert names_of(application("nothing")) == set()


def test_private_modules_are_no_verbs():
    assert {"bench", "export", "import", "verify"} <= names_of(application())
    assert not any("_" in name for name in names_of(application()))


def test_one_verb_returns_its_exit_code(capfd):
    assert run_command("inspect", ["no.anomedge"]) == 2
    assert "no.anomedge" in capfd.readouterr().err
    assert run_command("inspect", ["--help"]) == 0
    usage = "Usage: python -m anomedge.inspect [OPTIONS]"
    assert usage in capfd.readouterr().out


@pytest.mark.parametrize(("argument", "code"), [("--version", 0), ("no", 2)])
def test_the_program_exits_with_the_code_of_its_command(
    argument, code, monkeypatch
):
    monkeypatch.setattr(sys, "argv", ["anomedge", argument])
    with pytest.raises(SystemExit) as stop:
        program.main()
    assert stop.value.code == code


def test_a_thread_inside_a_driver_does_not_hold_the_exit(monkeypatch):
    """A normal exit would wait for the objects that the driver uses."""
    ended, codes = threading.Event(), []
    thread = threading.Thread(target=ended.wait, name=READER_THREAD)
    thread.start()
    monkeypatch.setattr(program.os, "_exit", codes.append)
    monkeypatch.setattr(sys, "argv", ["anomedge", "no"])
    try:
        with pytest.raises(SystemExit):
            program.main()
    finally:
        ended.set()
        thread.join()
    assert codes == [2]


def test_the_package_runs_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "anomedge", "--help"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "fit" in done.stdout
