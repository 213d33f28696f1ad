"""Labels of the float detector beside those of the quantised one."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from anomedge.errors import InputError
from anomedge.export.float_labels import ComparedLabels, compared_labels
from anomedge.images import read_folder
from anomedge.pipelines.model import load, save
from anomedge.pipelines.quantised.options import Budget, QuantiseOptions
from anomedge.pipelines.quantised.quantise import quantise
from tests.conftest import FRAME

BUNDLE = SimpleNamespace(manifest=SimpleNamespace(framing=FRAME))
"""Of a bundle only the framing is read."""


@pytest.fixture(scope="module")
def paths(model_paths, pictures, tmp_path_factory):
    """The float model and the quantised one, whose threshold lies below all scores."""
    original = model_paths["padim"]
    shown = QuantiseOptions(read_folder(pictures / "train"), budget=Budget(10_000, 1.0))  # fmt: skip
    made = quantise(load(original), shown)
    folder = tmp_path_factory.mktemp("labels")
    same, lower = folder / "same.safetensors", folder / "lower.safetensors"
    save(made, same)
    below = made.decision.model_copy(update={"threshold": -1.0})
    save(replace(made, decision=below), lower)
    return original, same, lower


def test_flips_are_counted_and_named(paths, pictures):
    original, _, lower = paths
    images = [pictures / "train"]
    found = compared_labels(BUNDLE, lower, original, images)
    assert found.pictures == 8
    names = [picture.name for picture in read_folder(pictures / "train")]
    assert set(found.flips) <= set(names) and found.flips
    assert f"{len(found.flips)} of 8 labels differ" in found.in_words
    assert found.flips[0] in found.in_words


def test_labels_within_the_budget_agree(paths, pictures):
    original, same, _ = paths
    found = compared_labels(BUNDLE, same, original, [pictures / "train"])
    assert found.flips == ()
    assert found.in_words.endswith("0 of 8 labels differ from the quantised detector's")  # fmt: skip


def test_another_float_model_is_refused(paths, model_paths, pictures):
    original, same, _ = paths
    for first, second in ((same, model_paths["patchcore"]), (original, original)):  # fmt: skip
        with pytest.raises(InputError, match="is not the float model of"):
            compared_labels(BUNDLE, first, second, [pictures / "train"])


def test_at_most_ten_pictures_are_named():
    found = ComparedLabels(20, tuple(f"picture{n}" for n in range(12)))
    assert "picture9" in found.in_words
    assert "picture10" not in found.in_words
