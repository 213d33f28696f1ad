"""PaDiM of the package: its layers are a list."""

import pytest
from pydantic import ValidationError

from anomedge.interop.anomalib.models.padim import Padim
from tests.interop.anomalib.models.package import built


@pytest.mark.parametrize("features", [None, 50])
def test_it_is_built_without_weights(monkeypatch, features):
    model = built(monkeypatch, Padim, n_features=features)
    assert model.given == {
        "backbone": "resnet18",
        "layers": ["layer1", "layer2", "layer3"],
        "n_features": features,
        "pre_trained": False,
    }


@pytest.mark.parametrize(
    "wrong",
    [{"layers": []}, {"layers": ["a"] * 17}, {"n_features": 0}, {"backbone": "a:b"}],
)  # fmt: skip
def test_arguments_out_of_range_are_refused(wrong):
    with pytest.raises(ValidationError):
        Padim.arguments_class(**wrong)


def test_drawn_channels_are_no_statistics():
    assert Padim.is_sized("gaussian.mean")
    assert not Padim.is_sized("idx")
