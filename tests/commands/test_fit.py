"""The verb fit: the table that it prints, and the rule that it takes."""

import json
import warnings

import pytest
from PIL import Image

from anomedge.pipelines.decision import InsensitiveWarning
from anomedge.pipelines.model import load
from tests.commands.running import run


@pytest.fixture
def enough(pictures, tmp_path):
    """Twelve normal pictures."""
    folder = tmp_path / "normal"
    folder.mkdir()
    found = sorted((pictures / "train").rglob("*.png"))
    for number, path in enumerate([*found, *found[:4]]):
        image = Image.open(path)
        turned = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        (turned if number >= 8 else image).save(folder / f"{number:02}.png")
    return folder


def test_a_fit_prints_the_table_and_files_keep_it(enough, tmp_path, capsys):
    path = tmp_path / "model.safetensors"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsensitiveWarning)
        code = run(
            "fit", "padim", enough, "-o", path, "--size", "64x72",
            "--backbone", "test_efficientnet", "--weights", "random",
        )  # fmt: skip
    assert code == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "60 synthetic defects on the normal pictures" in printed
    assert "threshold false alarms caught" in printed
    origin = load(path).decision.origin
    assert (origin.rule, origin.folds, origin.normal) == ("balanced", 12, 12)
    assert origin.sensitivity.defects == 60
    assert run("inspect", path, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["decision"]["origin"]["sensitivity"]["defects"] == 60
    assert run("inspect", path) == 0
    assert "synthetic defects caught" in capsys.readouterr().out


def test_an_unknown_rule_is_refused(pictures, tmp_path, capsys):
    code = run(
        "fit", "padim", pictures / "train",
        "-o", tmp_path / "m.safetensors", "--rule", "best",
    )  # fmt: skip
    assert code == 2
    assert "rate, balanced, labelled" in capsys.readouterr().err
