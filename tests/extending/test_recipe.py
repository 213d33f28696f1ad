"""An export recipe from a temporary file: `anomedge export` follows it, with no other file edited."""

import pytest

from anomedge.__main__ import run_command
from anomedge.bundle import read_manifest
from tests.conftest import FRAME


def export(model, output, recipe, *more):
    size = "x".join(map(str, FRAME))
    return run_command(
        "export",
        [str(model), "-o", str(output), "--frame", size, "--golden", "synthetic", "--recipe", str(recipe), *more],
    )  # fmt: skip


@pytest.mark.slow
def test_export_follows_a_recipe_file(model_paths, tmp_path):
    recipe = tmp_path / "one-frame.toml"
    recipe.write_text('opset = 18\nbatch = "1"\n')
    output = tmp_path / "part.anomedge"
    assert export(model_paths["padim"], output, recipe, "--runtime", "ort") == 0
    assert read_manifest(output).input.batch == 1


def test_a_faulty_recipe_is_refused_before_the_model_is_read(tmp_path, capsys):
    recipe = tmp_path / "faulty.toml"
    recipe.write_text("batch = 4\n")
    assert export("no-such-model", tmp_path / "part.anomedge", recipe) == 2
    assert "got batch = 4" in " ".join(capsys.readouterr().err.split())
