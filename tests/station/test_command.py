"""Commands for a frame: their arguments; commands that fail, hang or do not exist."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from anomedge.errors import InputError
from anomedge.station import command_group
from anomedge.station.command import FrameCommand
from anomedge.station.outcome import Outcome
from anomedge.station.sources import CapturedFrame
from tests.station.test_loop import SIZE, events, frame, run


def anomalous(name):
    return Outcome("{}", name, "anomalous", score=1.0)


def script(tmp_path, code):
    """A command that runs this Python."""
    path = tmp_path / "command.py"
    path.write_text(f"import sys, os, time, json\n{code}\n")
    return shlex.join([sys.executable, "-S", "-E", str(path)])


def test_on_fail_gets_the_line_and_its_arguments_in_order(tmp_path):
    code = "open(sys.argv[1], 'a').write(json.dumps([sys.argv[2:], json.loads(sys.stdin.read())]) + '\\n')"
    out = tmp_path / "got"
    command = f"{script(tmp_path, code)} {out} name={{name}} {{score}} {{path}} '{{other}} $HOME'"
    odd = CapturedFrame(
        3, "{score}; rm", np.full((*SIZE, 3), 140, np.uint8), tmp_path / "x.png"
    )
    lines = run([frame(1, 120), frame(2, 3), odd], on_fail=command)
    got = [json.loads(line) for line in out.read_text().splitlines()]
    assert [arguments for arguments, _ in got] == [
        ["name=f1", "120.0", "", "{other} $HOME"],
        ["name={score}; rm", "140.0", str(tmp_path / "x.png"), "{other} $HOME"],
    ]
    assert [line for _, line in got] == [
        line for line in lines if line.get("label") == "anomalous"
    ]
    assert lines[-1]["errors"] == 0


@pytest.mark.skipif(os.name == "nt", reason="a shell's command line")
def test_a_name_reaches_a_shell_as_data_by_the_environment(tmp_path):
    pwned, out = tmp_path / "pwned", tmp_path / "got"
    odd = CapturedFrame(
        1,
        f"$(touch {pwned}).png",
        np.full((*SIZE, 3), 140, np.uint8),
        tmp_path / "`x`.png",
    )
    said = '"$ANOMEDGE_NAME" "$ANOMEDGE_PATH" "$ANOMEDGE_SCORE"'
    lines = run(
        [odd],
        on_fail=shlex.join(["sh", "-c", f"printf '%s\\n' {said} > {out}"]),
    )
    assert lines[-1]["errors"] == 0
    assert out.read_text().splitlines() == [odd.name, str(odd.path), "140.0"]
    assert not pwned.exists()


def test_a_frame_without_a_file_has_an_empty_path_in_the_environment(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("ANOMEDGE_PATH", "of another")
    out = tmp_path / "got"
    code = "open(sys.argv[1], 'w').write(repr(os.environ['ANOMEDGE_PATH']))"
    run([frame(1, 120)], on_fail=f"{script(tmp_path, code)} {out}")
    assert out.read_text() == "''"


def test_a_name_that_begins_with_a_dash_is_no_option(tmp_path):
    out = tmp_path / "got"
    code = (
        "given = [os.environ['ANOMEDGE_NAME'], os.environ['ANOMEDGE_PATH']]\n"
        "open(sys.argv[1], 'w').write(json.dumps(sys.argv[2:] + given))"
    )
    odd = CapturedFrame(
        1, "-x.png", np.full((*SIZE, 3), 140, np.uint8), Path("-x.png")
    )
    run([odd], on_fail=f"{script(tmp_path, code)} {out} {{name}} {{path}}")
    assert json.loads(out.read_text()) == ["./-x.png"] * 4


def test_on_fail_that_fails_is_an_error_line(tmp_path):
    lines = run(
        [frame(1, 120), frame(2, 3)],
        on_fail=script(tmp_path, "print('no line of ours'); sys.exit(3)"),
    )
    assert [line["message"] for line in lines if line["event"] == "error"] == [
        "--on-fail ended with 3; expected 0"
    ]
    assert sorted(events(lines)) == [
        "error",
        "frame",
        "frame",
        "started",
        "stopped",
    ]


def test_on_fail_that_takes_too_long_is_killed_with_its_children(tmp_path):
    said = []
    code = (
        "child = os.fork()\n"
        "if child == 0:\n    time.sleep(60)\n"
        f"open({str(tmp_path / 'pids')!r}, 'w').write(f'{{os.getpid()}} {{child}}')\ntime.sleep(60)"
    )
    command = FrameCommand(
        "--on-error",
        script(tmp_path, code),
        lambda *given: said.append(given),
        timeout=1.0,
    )
    start = time.monotonic()
    command.run(anomalous("f1"))
    assert time.monotonic() - start < 10
    assert said == [
        ("f1", "--on-error took longer than 1 seconds and was killed")
    ]
    leader, child = map(int, (tmp_path / "pids").read_text().split())
    assert not running(leader)
    assert ended(child)


def ended(pid):
    """Whether it ends soon: the kernel may take its time."""
    deadline = time.monotonic() + 5
    while running(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not running(pid)


def running(pid):
    """Not gone and no zombie."""
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
            != "Z"
        )
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_on_fail_that_cannot_start_any_more_is_an_error_line(tmp_path):
    said = []
    program = tmp_path / "once"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    command = FrameCommand(
        "--on-pass", str(program), lambda *given: said.append(given)
    )
    program.unlink()
    command.run(anomalous("f1"))
    command.run(anomalous("f2"))
    assert [name for name, _ in said] == ["f1", "f2"]
    assert "--on-pass could not run" in said[0][1]


@pytest.mark.parametrize(
    "command", ["", "no-such-program x", "'unbalanced", "{name}"]
)
def test_on_fail_that_cannot_be_found_is_refused(command):
    with pytest.raises(InputError, match="got --on-error"):
        FrameCommand("--on-error", command, print)


LEAVES_A_CHILD = (
    "child = os.fork()\n"
    "if child == 0:\n    time.sleep(60)\n"
    "open(sys.argv[1] + '.part', 'w').write(f'{os.getpid()} {child}')\n"
    "os.rename(sys.argv[1] + '.part', sys.argv[1])\n"
)


def pids(path):
    deadline = time.monotonic() + 30
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return list(map(int, path.read_text().split()))


@pytest.mark.skipif(not command_group._CAN_JOIN, reason="needs Python 3.11")
def test_a_command_and_its_children_end_when_the_station_is_killed(tmp_path):
    """Without a signal that it could handle."""
    line = script(tmp_path, LEAVES_A_CHILD + "time.sleep(60)")
    code = (
        "from anomedge.station.command import FrameCommand\n"
        "from anomedge.station.outcome import Outcome\n"
        f"command = FrameCommand('--on-fail', {line + ' ' + str(tmp_path / 'pids')!r}, print)\n"
        "command.run(Outcome('{}', 'f1', 'anomalous', score=1.0))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as station:
        found = pids(tmp_path / "pids")
        assert all(map(running, found))
        station.kill()
    assert all(map(ended, found))


@pytest.mark.skipif(not command_group._CAN_JOIN, reason="needs Python 3.11")
def test_a_process_that_a_command_left_behind_ends_with_the_station(tmp_path):
    line = f"{script(tmp_path, LEAVES_A_CHILD)} {tmp_path / 'pids'}"
    command = FrameCommand("--on-fail", line, print)
    command.run(anomalous("f1"))
    _, child = pids(tmp_path / "pids")
    assert running(child)
    command.close()
    assert ended(child)


@pytest.mark.skipif(not command_group._CAN_JOIN, reason="needs Python 3.11")
def test_a_guard_that_was_killed_is_replaced(tmp_path):
    said = []
    command = FrameCommand(
        "--on-fail", "true", lambda *given: said.append(given)
    )
    command.run(anomalous("f1"))
    guard = command._group._guard
    os.kill(guard, signal.SIGKILL)
    assert ended(guard)
    command.run(anomalous("f2"))
    assert said == []
    assert command._group._guard != guard
    command.close()
