"""The result of a fit: the decision, and what became of every picture."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from anomedge.commands._fit_result import print_result
from anomedge.pipelines.decision import ThresholdSample
from anomedge.pipelines.splitting import Split
from tests.parity.examples import DECISION


def printed(capsys, sample, *, as_json=False, left_out=None, unlabelled=None, **origin):  # fmt: skip
    origin = DECISION.origin.model_copy(update=origin)
    fitted = SimpleNamespace(
        decision=DECISION.model_copy(update={"origin": origin}),
        pipeline=SimpleNamespace(describe=lambda: "padim on resnet18"),
    )
    split = Split(["a"] * 7, sample, left_out or {}, unlabelled or {})
    print_result(fitted, split, Path("m.safetensors"), as_json)
    return capsys.readouterr().out


CROSS_FITTED = ThresholdSample(["a"] * 7, [], "folds", folds=[[0], [1]])
HELD_BACK = ThresholdSample(["b"] * 3, [], "given")
LABELLED = ThresholdSample(["b"] * 3, ["c"] * 2, "labelled")


@pytest.mark.parametrize(
    ("sample", "counts"),
    [
        (CROSS_FITTED, "pictures: 7 fitted; left out: none"),
        (HELD_BACK, "pictures: 7 fitted, 3 held back; left out: none"),
        (LABELLED, "pictures: 7 fitted, 5 labelled; left out: none"),
    ],
)
def test_the_last_line_counts_the_pictures(capsys, sample, counts):
    lines = printed(capsys, sample).splitlines()
    assert lines[-1] == counts
    assert lines[0] == (
        "m.safetensors: padim on resnet18; threshold 40 by false-alarm rate 0.01 from 2 pictures (x), scale 10"
    )
    assert len(lines) == 2


def test_labelled_pictures_above_the_threshold_are_counted(capsys):
    lines = printed(
        capsys, LABELLED, normal=3, anomalous=2, caught=2, alarms=1
    ).splitlines()
    assert lines[1] == (
        "labelled pictures: 2 of 2 anomalous ones above the threshold, and 1 of 3 normal ones"
    )


def test_files_left_out_and_missing_labels_are_said(capsys):
    line = printed(
        capsys, HELD_BACK, left_out={"masks": 4}, unlabelled={"in": 7}
    ).splitlines()[-1]
    assert line == (
        "pictures: 7 fitted, 3 held back; left out: 4 masks; unlabelled: all count as normal: in 7"
    )


def test_json_is_the_decision_and_the_counts(capsys):
    content = json.loads(
        printed(capsys, LABELLED, as_json=True, left_out={"masks": 4})
    )
    assert content["threshold"] == 40
    assert content["pictures"] == {
        "fitted": 7,
        "labelled": 5,
        "left_out": {"masks": 4},
    }
