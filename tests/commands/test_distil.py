"""anomedge distil: the file that it writes is a teacher."""

import json

from safetensors.torch import load_file

from anomedge.pipelines.training.teacher_record import read_record
from tests.commands.running import run

BACKBONE = ["--backbone", "test_efficientnet", "--weights", "random"]
QUICK = ["--size", "32x48", "--batch", "2", "--steps", "2"]


def test_a_teacher_is_written_once(pictures, tmp_path, capsys):
    output = tmp_path / "teacher.safetensors"
    given = ["distil", pictures / "train", "-o", output, *BACKBONE, *QUICK]
    layers = ["--layers", "blocks.2,blocks.3"]
    assert run(*given, *layers) == 0
    channels = len(load_file(output)["conv4.bias"])
    assert f"small network of {channels} channels" in capsys.readouterr().out
    before = output.read_bytes()
    assert run(*given, *layers) == 2
    capsys.readouterr()
    assert run(*given, *layers, "--force", "--json") == 0
    assert output.read_bytes() == before
    shown = json.loads(capsys.readouterr().out)
    assert shown["channels"] == channels
    assert shown["steps"] == 2
    record = read_record(output)
    assert (record.backbone, record.steps) == ("test_efficientnet", 2)
    assert record.weights_licence == "none: random numbers"


def test_options_are_checked_before_the_pictures(tmp_path, capsys):
    output = tmp_path / "teacher.safetensors"
    given = ["distil", tmp_path / "absent", "-o", output]
    assert run(*given, "--model-size", "large") == 2
    assert "expected 'small' or 'medium'" in capsys.readouterr().err


def test_output_and_device_are_checked_before_the_pictures(tmp_path, capsys):
    absent = tmp_path / "absent"
    assert run("distil", absent, "-o", tmp_path / "teacher.pth") == 2
    assert "ends in .safetensors" in capsys.readouterr().err
    output = tmp_path / "teacher.safetensors"
    assert run("distil", absent, "-o", output, "--device", "cuda:99") == 2
    assert "got --device cuda:99 where torch" in capsys.readouterr().err
