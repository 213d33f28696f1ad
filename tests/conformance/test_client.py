"""The client's program is run without a shell; its output is bounded and checked."""

import sys

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
    ],
)
def test_other_output_is_a_fault(tmp_path, code, words):
    answer = answer_of(tmp_path, code, timeout=1.5 if "sleep" in code else 20)
    assert words in answer.fault
    assert answer.refusal is None


def test_another_exit_code_is_a_refusal(tmp_path):
    answer = answer_of(tmp_path, "raise SystemExit('bad frame')")
    assert answer.refusal == "exit code 1: bad frame"


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
