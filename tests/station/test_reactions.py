"""Reactions to an anomalous frame: commands that fail, hang or do not exist; full disks."""

import errno
import json
import os
import shlex
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomedge.errors import InputError, OutputError
from anomedge.files import atomic as files
from anomedge.station import reactions
from anomedge.station.reactions import Job, OnFail, PictureKeeper
from anomedge.station.sources import CapturedFrame
from tests.station.test_loop import SIZE, events, frame, run


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
    command = OnFail(
        script(tmp_path, code), lambda *what: said.append(what), timeout=1.0
    )
    start = time.monotonic()
    command.submit(Job("{}", "f1", 1.0))
    command.close()
    assert time.monotonic() - start < 10
    assert said == [
        ("f1", "--on-fail took longer than 1 seconds and was killed")
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


def test_a_slow_on_fail_blocks_rather_than_piles_up(tmp_path):
    command = OnFail(script(tmp_path, "time.sleep(0.2)"), print, waiting=1)
    start = time.monotonic()
    for number in range(4):
        command.submit(Job("{}", f"f{number}", 1.0))
    assert time.monotonic() - start > 0.3
    command.close()


def test_on_fail_that_cannot_start_any_more_is_an_error_line(tmp_path):
    said = []
    program = tmp_path / "once"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    command = OnFail(str(program), lambda *what: said.append(what))
    program.unlink()
    command.submit(Job("{}", "f1", 1.0))
    command.submit(Job("{}", "f2", 1.0))
    command.close()
    assert [name for name, _ in said] == ["f1", "f2"]
    assert "could not run" in said[0][1]


@pytest.mark.parametrize(
    "command", ["", "no-such-program x", "'unbalanced", "{name}"]
)
def test_on_fail_that_cannot_be_found_is_refused(command):
    with pytest.raises(InputError, match="--on-fail"):
        OnFail(command, print)


def test_overlays_of_anomalous_frames_are_kept_newest_first_out(tmp_path):
    folder = tmp_path / "deep" / "out"
    folder.mkdir(parents=True)
    mine = folder / "mine.png"
    mine.write_bytes(b"not ours")
    earlier = folder / "19690101T000000.000000Z-00000001-old.png.overlay.png"
    earlier.write_bytes(b"")
    left = folder / f".{earlier.name}.abc.tmp"
    left.write_bytes(b"half")
    keeper = PictureKeeper(folder, keep=3)
    assert not left.exists()
    lines = run(
        [frame(number, 90 + 10 * number) for number in range(1, 7)],
        keeper=keeper,
    )
    assert lines[-1]["anomalous"] == 5
    names = sorted(path.name for path in folder.iterdir())
    assert names == [
        f"19700101T000001.500000Z-{n:08d}-f{n}.overlay.png" for n in (4, 5, 6)
    ] + ["mine.png"]
    with Image.open(folder / names[0]) as picture:
        assert picture.size == (SIZE[1], SIZE[0])


def test_names_of_pictures_stay_in_their_folder(tmp_path):
    path = PictureKeeper(tmp_path).save(
        np.zeros((4, 4, 3), np.uint8), name="../a/b:c\udcff", number=1, time=0.0
    )
    assert path.parent == tmp_path
    assert path.name == "19700101T000000.000000Z-00000001-.._a_b_c_.overlay.png"


def test_a_full_disk_is_an_error_line(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    keeper = PictureKeeper(tmp_path / "out")
    monkeypatch.setattr(reactions.Image.Image, "save", full)
    lines = run([frame(1, 120), frame(2, 120)], keeper=keeper)
    assert events(lines) == [
        "started",
        "frame",
        "error",
        "frame",
        "error",
        "stopped",
    ]
    assert "no space left" in lines[2]["message"].lower()
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="give a folder that can be written"):
        PictureKeeper(tmp_path / "file" / "out")


def test_kept_overlays_do_not_list_their_folder(tmp_path, monkeypatch):

    keeper = PictureKeeper(tmp_path)
    monkeypatch.setattr(
        files,
        "_sweep",
        lambda target: pytest.fail("the folder is listed for every frame"),
    )
    keeper.save(np.zeros((4, 4, 3), np.uint8), name="a", number=1, time=0.0)
