"""RAD: layers and their weights are lists."""

import pytest
from pydantic import ValidationError

from anomedge.interop.anomalib.models.rad import Rad
from tests.interop.anomalib.models.package import built


def test_layers_and_weights_are_lists(monkeypatch):
    model = built(monkeypatch, Rad, layers=(3, 6), layer_weights=(0.5, 1))
    assert model.given["layers"] == [3, 6]
    assert model.given["layer_weights"] == [0.5, 1]
    assert model.given["pre_trained"] is False


def test_the_models_own_layers_are_none(monkeypatch):
    model = built(monkeypatch, Rad)
    assert model.given["layers"] is model.given["layer_weights"] is None
    assert model.given["k_image"] == 150


@pytest.mark.parametrize(
    "wrong", [{"k_image": 0}, {"pos_radius": 17}, {"max_ratio": 1.5}, {"layer_weights": [-1]}]
)  # fmt: skip
def test_arguments_out_of_range_are_refused(wrong):
    with pytest.raises(ValidationError):
        Rad.arguments_class(**wrong)
