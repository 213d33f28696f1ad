"""The client's program is run without a shell; its output is bounded and checked."""

import sys
import time
from pathlib import Path

import pytest

from anomedge.conformance import ClientCommand
from anomedge.errors import InputError


def answer_of(tmp_path, code, timeout=20.0, frames=("a.png",), map_size=None):
    script = tmp_path / "client.py"
    script.write_text(code)
    several = "{frames}" if len(frames) > 1 else "{frame}"
    command = ClientCommand(
        f"{sys.executable} -S {script} {{bundle}} {several} {{map}}", timeout
    )
    return command(tmp_path, [tmp_path / name for name in frames], map_size)


def ended(process):
    """Whether a process ends soon; a zombie has ended."""
    status = Path(f"/proc/{process}/stat")
    for _ in range(100):
        if not status.exists() or status.read_text().split()[2] == "Z":
            return True
        time.sleep(0.05)
    return False


def test_scores_and_labels_are_read_in_order(tmp_path):
    code = (
        "print('hello')\nfor score in (1.5, -2):\n"
        '  print(\'{"score": %s, "label": "normal"}\' % score)'
    )
    answer = answer_of(tmp_path, code, frames=("a", "b"))
    assert answer.scores.tolist() == [1.5, -2]
    assert answer.labels == ("normal", "normal")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("pass", "0 JSON lines"),
        ('print(\'{"score": NaN, "label": "normal"}\')', "strict JSON"),
        ('print(\'{"score": true, "label": "normal"}\')', "score True"),
        ('print(\'{"score": 1, "label": "good"}\')', "'good'"),
        ("print('{' * 2000000)", "bytes on standard output"),
        ("import time; time.sleep(60)", "no end within"),
        ("while True: print('x' * 10000)", "16777216 bytes of output"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "-11"),
        ("import os; os._exit(139)", "ended by a signal, exit code 139"),
    ],
)
def test_other_output_is_a_fault(tmp_path, code, words):
    answer = answer_of(tmp_path, code, timeout=1.5 if "sleep" in code else 20)
    assert words in answer.fault
    assert answer.refusal is None


def test_another_exit_code_is_a_refusal(tmp_path):
    answer = answer_of(tmp_path, "raise SystemExit('bad frame')")
    assert answer.refusal == "exit code 1: bad frame"


def test_a_program_that_does_not_start_is_named(tmp_path):
    program = tmp_path / "runner"
    program.write_text("for another machine")
    program.chmod(0o755)
    client = ClientCommand(f"{program} {{bundle}} {{frame}}", 5)
    with pytest.raises(InputError, match="does not start"):
        client(tmp_path, [tmp_path / "a.png"])


def test_children_that_a_client_leaves_behind_are_ended(tmp_path):
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        f"open({str(tmp_path / 'child')!r}, 'w').write(str(child.pid))\n"
        'print(\'{"score": 1, "label": "normal"}\')'
    )
    assert answer_of(tmp_path, code).scores.tolist() == [1]
    assert ended(int((tmp_path / "child").read_text()))


def test_a_map_has_exactly_its_size(tmp_path):
    code = (
        "import sys\nopen(sys.argv[3], 'wb').write(bytes(24))\n"
        'print(\'{"score": 1, "label": "normal"}\')'
    )
    right = answer_of(tmp_path, code, map_size=(2, 3))
    assert right.anomaly_map.tolist() == [[0] * 3] * 2
    assert "24 bytes" in answer_of(tmp_path, code, map_size=(3, 3)).fault


@pytest.mark.parametrize(
    "template",
    [
        "python {bundle}",
        "python {frame}",
        "python {bundle} {frame} {raw}",
        "python {bundle} x{frames}",
        "no-such-program-here {bundle} {frame}",
        "python '{bundle} {frame}",
    ],
)
def test_wrong_templates_are_refused(template):
    with pytest.raises(InputError, match="got"):
        ClientCommand(template.replace("python", sys.executable), 1)
