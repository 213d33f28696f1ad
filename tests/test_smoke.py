"""The smoke script of the device kits, with a stand-in for anomedge on the PATH."""

import os
import re
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "smoke"
STAND_IN = """#!/bin/sh
echo "called: $*"
case "$1" in doctor) exit {doctor} ;; verify) exit {verify} ;; esac
"""


def smoke(folder, *words, doctor=0, verify=0, stand_in=True):
    programs = folder / "bin"
    programs.mkdir()
    if stand_in:
        program = programs / "anomedge"
        program.write_text(STAND_IN.format(doctor=doctor, verify=verify))
        program.chmod(0o755)
    return subprocess.run(
        ["/bin/bash", SCRIPT, *words],
        cwd=folder,
        env={"PATH": f"{programs}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )


def test_every_step_is_in_one_file(tmp_path):
    words = ("part.anomedge", "-o", "out.txt", "--runtime", "ort")
    done = smoke(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "out.txt").read_text()
    calls = [line for line in text.splitlines() if line.startswith("called:")]
    assert calls == [
        "called: doctor part.anomedge --json",
        "called: inspect part.anomedge",
        "called: verify part.anomedge --name smoke --json --runtime ort",
        "called: bench part.anomedge --rounds 5 --json --runtime ort",
    ]
    assert "MemTotal" in text
    assert not re.search(rf"\b{re.escape(os.uname().nodename)}\b", text)
    assert "verify 0" in done.stdout
    assert "out.txt" in done.stdout


@pytest.mark.parametrize(("doctor", "verify", "code"), [(2, 0, 0), (0, 3, 1)])
def test_a_failed_step_does_not_end_the_others(tmp_path, doctor, verify, code):
    done = smoke(tmp_path, "part.anomedge", doctor=doctor, verify=verify)
    assert done.returncode == code
    summary = (tmp_path / "smoke.txt").read_text().split("== summary")[1]
    assert f"doctor {doctor}\n" in summary
    assert f"verify {verify}\n" in summary
    assert "bench 0\n" in summary


def test_a_missing_program_is_named(tmp_path):
    done = smoke(tmp_path, "part.anomedge", stand_in=False)
    assert done.returncode == 2
    assert "expected an environment with it" in done.stderr


def test_the_order_of_the_options_is_free(tmp_path):
    done = smoke(tmp_path, "part", "--runtime", "ort", "-o", "out.txt")
    assert done.returncode == 0
    text = (tmp_path / "out.txt").read_text()
    assert "verify part --name smoke --json --runtime ort\n" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "usage"),
        (["--runtime", "ort"], "usage"),
        (["part", "-o"], "usage"),
        (["part", "-o", "none/out.txt"], "cannot write none/out.txt"),
        (["part", "-o", "part/out.txt"], "inside part"),
    ],
)
def test_wrong_use_runs_nothing(tmp_path, words, said):
    (tmp_path / "part").mkdir()
    done = smoke(tmp_path, *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "verify" not in done.stderr
    assert not list(tmp_path.rglob("*.txt"))


def test_the_host_of_a_threshold_is_not_stated(tmp_path):
    programs = tmp_path / "bin"
    done = smoke(tmp_path, "part", stand_in=False)
    assert done.returncode == 2
    line = "local threshold 1: set by hand; anna on lab-3.example, 2026-11-27T"
    program = programs / "anomedge"
    program.write_text(f"#!/bin/sh\necho '{line}'\n")
    program.chmod(0o755)
    subprocess.run(
        ["/bin/bash", SCRIPT, "part"],
        cwd=tmp_path,
        env={"PATH": f"{programs}:/usr/bin:/bin"},
        check=True,
    )
    text = (tmp_path / "smoke.txt").read_text()
    shown = text.split("== inspect: exit")[0].split("== inspect")[1]
    assert "anna on HOST, 2026" in shown
    assert "lab-3" not in shown
