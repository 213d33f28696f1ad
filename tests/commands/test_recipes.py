"""Recipes by name and by path, with every option of the export; unknown keys and values of other types are refused."""

import inspect

import pytest

from anomedge.commands._recipes import (
    available_recipes,
    read_recipe,
    recipe_options,
    recipe_targets,
)
from anomedge.commands.export import export
from anomedge.errors import InputError
from anomedge.lint import available, examine
from tests.commands.running import run

ALLOWED = recipe_options(export)
BANK = "intel-cpu-vnni-memory-bank"


def test_every_option_of_the_export_may_stand_in_a_recipe():
    assert set(inspect.signature(export).parameters) - set(ALLOWED) == {
        "model",
        "output",
        "recipe",
        "force",
        "as_json",
    }
    assert ALLOWED["opset"] is int
    assert ALLOWED["widen"] is float
    assert ALLOWED["quantise_only"] is bool
    assert ALLOWED["precision"] is list
    assert ALLOWED["batch"] is ALLOWED["frame"] is str


def test_every_recipe_of_the_clone_is_found_and_has_targets():
    names = available_recipes()
    assert {"intel-cpu", "jetson-jetpack6", "jetson-jetpack7"} <= set(names)
    for name in names:
        assert read_recipe(name, ALLOWED)["opset"] == 17
        assert set(recipe_targets(name)) <= set(available())
        assert recipe_targets(name)


def test_a_recipe_extends_another_one():
    options = read_recipe("jetson-jetpack7-fp16", ALLOWED)
    assert options == {
        "opset": 17,
        "batch": "dynamic",
        "search": "fp32",
        "precision": ["fp32", "fp16"],
    }
    assert recipe_targets("jetson-jetpack7-fp16") == [
        "tensorrt-10.13",
        "tensorrt-10.16",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "opsett = 17",
        'opset = "17"',
        "batch = 4",
        "opset = true",
        "precision = [1]",
        'precision = "fp32"',
        'output = "x"',
        'like = "nothing"',
        "[opset]",
        "no toml",
        pytest.param("precision = " + "[" * 5000, id="deep"),
    ],
)
def test_other_keys_and_types_are_refused(text, tmp_path):
    path = tmp_path / "r.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"r\.toml"):
        read_recipe(str(path), ALLOWED)


def test_a_whole_number_is_a_number(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text("widen = 2")
    assert read_recipe(str(path), ALLOWED) == {"widen": 2}


def test_an_unknown_name_lists_the_recipes():
    with pytest.raises(InputError, match="give a name: intel-cpu"):
        read_recipe("jetson-jetpack5", ALLOWED)


def test_a_range_is_checked_as_on_the_command_line(tmp_path, capsys):
    path = tmp_path / "r.toml"
    path.write_text("widen = 0.5")
    out = tmp_path / "out"
    assert (
        run("export", "m", "-o", out, "--frame", "9x9", "--recipe", path) == 2
    )
    assert "widen" in capsys.readouterr().err


@pytest.mark.parametrize("target", ["jetson-jetpack6", "jetson-jetpack7"])
@pytest.mark.parametrize("detector", ["padim", "patchcore"])
def test_bundles_of_the_default_options_suit_jetsons(
    target, detector, bundle_paths
):
    options = read_recipe(target, ALLOWED)
    assert (options["opset"], options["batch"]) == (17, "dynamic")
    report = examine(bundle_paths[detector], recipe_targets(target), real=False)
    assert report.errors == 0


@pytest.mark.slow
@pytest.mark.parametrize("recipe", available_recipes())
@pytest.mark.parametrize("detector", ["padim", "patchcore"])
@pytest.mark.filterwarnings("default::UserWarning")
def test_a_bundle_of_each_recipe_suits_its_targets(
    detector, recipe, model_paths, pictures, tmp_path
):
    if recipe == BANK and detector != "patchcore":
        pytest.skip("only a memory bank has a search")
    output = tmp_path / "part.anomedge"
    more = ["--golden", "synthetic", "--frame", "96x128"]
    if "int8" in read_recipe(recipe, ALLOWED).get("precision", ()):
        more += ["--calibrate", str(pictures / "train"), "--max-flips", "99", "--max-auroc-drop", "1"]  # fmt: skip
    model = model_paths[detector]
    assert run("export", model, "-o", output, "--recipe", recipe, *more) == 0
    report = examine(output, recipe_targets(recipe), real=False)
    assert report.errors == 0, [str(each) for each in report.findings]
