"""Each family of recipes exports each detector besides PaDiM and PatchCore, and the bundle suits the targets of its recipes."""

import pytest

from anomedge.commands._recipes import (
    available_recipes,
    read_recipe,
    recipe_options,
    recipe_targets,
)
from anomedge.commands.export import export
from anomedge.lint import examine
from tests.commands.running import run
from tests.export.test_further_detectors import fitted
from tests.sampling import part_of_grid

ALLOWED = recipe_options(export)
DETECTORS = (
    "anomaly_dino",
    "dfm-fre",
    "dfkde-scale",
    "efficient_ad",
    "fastflow",
    "reverse_distillation",
    "stfpm",
)
BANKS = {"anomaly_dino"}


def families():
    """Recipes with the same options, by the name of the first."""
    found = []
    for name in available_recipes():
        options = read_recipe(name, ALLOWED)
        same = [f for f in found if read_recipe(f[0], ALLOWED) == options]
        if same:
            same[0].append(name)
        else:
            found.append([name])
    return {names[0]: names for names in found}


def grid():
    return [
        (detector, family)
        for detector in DETECTORS
        for family in families()
        if read_recipe(family, ALLOWED).get("search") != "int8"
        or detector in BANKS
    ]


@pytest.fixture(scope="module")
def model_of(pictures, tmp_path_factory):
    """Fit a detector at its first use."""
    found = {}

    def get(detector):
        if detector not in found:
            folder = tmp_path_factory.mktemp("model")
            found[detector] = fitted(detector, pictures, folder)
        return found[detector]

    return get


def test_every_recipe_belongs_to_a_family():
    names = [name for family in families().values() for name in family]
    assert sorted(names) == available_recipes()
    assert len(families()) < len(names)


@pytest.mark.slow
@pytest.mark.parametrize(("detector", "family"), part_of_grid(grid(), 6))
@pytest.mark.filterwarnings("default::UserWarning")
def test_a_family_of_recipes_suits_a_detector(
    detector, family, model_of, pictures, tmp_path
):
    output = tmp_path / "part.anomedge"
    more = ["--golden", str(pictures / "test"), "--frame", "96x128"]
    if "int8" in read_recipe(family, ALLOWED).get("precision", ()):
        more += ["--calibrate", str(pictures / "train"), "--max-flips", "99", "--max-auroc-drop", "1"]  # fmt: skip
    model = model_of(detector)
    assert run("export", model, "-o", output, "--recipe", family, *more) == 0
    for recipe in families()[family]:
        report = examine(output, recipe_targets(recipe), real=False)
        assert report.errors == 0, [str(each) for each in report.findings]
