"""Recipes by name and by path; unknown keys and values of other types are refused."""

import pytest

from anomedge.commands._recipes import available_recipes, read_recipe
from anomedge.errors import InputError


def test_every_recipe_of_the_clone_is_found_by_name_and_sets_options():
    names = available_recipes()
    assert {"intel-cpu", "jetson-jetpack6"} <= set(names)
    assert all(read_recipe(name)["opset"] == 17 for name in names)
    assert read_recipe(None) == {}


@pytest.mark.parametrize(
    "text", ["opsett = 17", 'opset = "17"', "batch = 4", "[opset]", "no toml"]
)
def test_other_keys_and_types_are_refused(text, tmp_path):
    path = tmp_path / "r.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"r\.toml"):
        read_recipe(str(path))


def test_an_unknown_name_lists_the_recipes():
    with pytest.raises(InputError, match="give a name: intel-cpu"):
        read_recipe("jetson-jetpack5")
