"""anomedge distil: the file that it writes is a teacher."""

from safetensors.torch import load_file

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
    assert run(*given, *layers, "--force") == 0
    assert output.read_bytes() == before


def test_options_are_checked_before_the_pictures(tmp_path, capsys):
    output = tmp_path / "teacher.safetensors"
    given = ["distil", tmp_path / "absent", "-o", output]
    assert run(*given, "--model-size", "large") == 2
    assert "expected 'small' or 'medium'" in capsys.readouterr().err
