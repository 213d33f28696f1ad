"""The commands of each label; a part that was not inspected never looks like a good one."""

import json
import shlex
import sys

import pytest

from anomedge.errors import GaveUp, InputError
from anomedge.station import StationOptions, UnusableFrame
from anomedge.station.outcome import Outcome
from anomedge.station.reactions import ReactionOptions, Reactions
from tests.station.test_command import script
from tests.station.test_loop import frame, run

NOTE = """
given = json.loads(sys.stdin.read())
variables = [os.environ['ANOMEDGE_' + name] for name in ('NAME', 'SCORE', 'LABEL', 'REASON')]
with open(sys.argv[1], 'a') as file:
    file.write(json.dumps([sys.argv[2], sys.argv[3:], variables, given]) + '\\n')
"""


@pytest.fixture
def noted(tmp_path):
    """The command lines of all options, and a function that returns the calls."""
    out = tmp_path / "calls"
    program = f"{script(tmp_path, NOTE)} {out}"
    values = "{name} {score} {label} {reason}"
    lines = {
        f"on_{kind}": f"{program} {kind} {values}"
        for kind in ("pass", "fail", "error")
    }

    def calls():
        return [json.loads(line) for line in out.read_text().splitlines()]

    return lines, calls


FRAMES = [frame(1, 7), frame(2, 120), UnusableFrame(3, "bad.png", "torn file")]


def test_each_label_has_its_command_with_values_and_line(noted):
    commands, calls = noted
    lines = run(FRAMES, **commands)
    kinds, arguments, variables, given = zip(*calls(), strict=True)
    assert kinds == ("pass", "fail", "error")
    assert list(arguments) == [
        ["f1", "7.0", "normal", ""],
        ["f2", "120.0", "anomalous", ""],
        ["bad.png", "", "undecided", "torn file"],
    ]
    assert variables == arguments
    assert list(given) == lines[1:4]


def test_fail_safe_rejects_undecided_frames_first(noted):
    commands, calls = noted
    run(FRAMES, **commands, fail_safe=True)
    assert [(kind, values[2:]) for kind, values, *_ in calls()] == [
        ("pass", ["normal", ""]),
        ("fail", ["anomalous", ""]),
        ("fail", ["undecided", "torn file"]),
        ("error", ["undecided", "torn file"]),
    ]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (UnusableFrame(1, "bad", "torn file"), "torn file"),
        (frame(1, 7, (4, 4)), "got 4x4"),
        (frame(1, 255), "not finite"),
    ],
)
def test_every_kind_of_undecided_frame_is_rejected(bad, reason, noted):
    commands, calls = noted
    with pytest.raises(GaveUp):
        run(
            [bad],
            options=StationOptions(give_up=1),
            on_fail=commands["on_fail"],
            fail_safe=True,
        )
    ((_, values, *_),) = calls()
    assert values[2] == "undecided"
    assert reason in values[3]


def test_without_fail_safe_an_undecided_frame_is_not_rejected(noted):
    commands, calls = noted
    run(FRAMES, on_fail=commands["on_fail"])
    assert [values[0] for _, values, *_ in calls()] == ["f2"]


def test_fail_safe_without_a_command_is_refused():
    with pytest.raises(InputError, match="got --fail-safe without --on-fail"):
        Reactions(ReactionOptions(on_error="true", fail_safe=True), print)


def test_an_empty_command_is_refused():
    with pytest.raises(InputError, match="got --on-pass ''"):
        Reactions(ReactionOptions(on_pass=""), print)


def test_an_unreadable_file_of_a_folder_has_its_path(tmp_path):
    out = tmp_path / "got"
    code = "open(sys.argv[1], 'w').write(sys.argv[2])"
    source = FolderOfOne(tmp_path)
    run(source, on_error=f"{script(tmp_path, code)} {out} {{path}}")
    assert out.read_text() == str(tmp_path / "bad.png")


class FolderOfOne:
    """A folder with one unreadable picture."""

    title, live = "folder", False
    missed = ignored = 0

    def __init__(self, folder):
        self.folder = folder

    def events(self, _):
        yield UnusableFrame(1, "bad.png", "torn file")


def test_a_full_queue_makes_inspection_wait_and_shows_life(tmp_path):
    """One command runs, one waits; the third frame's makes inspection wait."""
    out = tmp_path / "got"
    code = "time.sleep(0.5)\nopen(sys.argv[1], 'a').write(sys.argv[2] + ' ')"
    lines = run(
        [frame(number, 120) for number in range(1, 5)],
        options=StationOptions(heartbeat=0.1),
        on_fail=f"{script(tmp_path, code)} {out} {{name}}",
        waiting=1,
    )
    assert out.read_text().split() == ["f1", "f2", "f3", "f4"]
    assert lines[-1]["errors"] == 0
    beats = [line for line in lines if line["event"] == "heartbeat"]
    waiting = [beat["frames"] for beat in beats if beat["pending"] == 1]
    # Several while one frame waits.
    assert len(waiting) > len(set(waiting)) > 0


def test_pending_counts_waiting_commands(tmp_path):
    line = shlex.join([sys.executable, "-c", "input()"])
    reactions = Reactions(ReactionOptions(on_pass=line), print)
    assert reactions.pending == 0
    reactions.react(Outcome("{}", "f1", "normal"))
    reactions.close()
    assert reactions.pending == 0
