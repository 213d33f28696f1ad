"""EfficientAD: the size of its networks is an enumeration of the package."""

import pytest
from pydantic import ValidationError

from anomedge.interop.anomalib.models.efficient_ad import EfficientAd
from tests.interop.anomalib.models.package import built

SOURCE = """
class EfficientAdModelSize(str, enum.Enum):
    M = "medium"
    S = "small"
"""


def test_the_size_of_the_networks_is_a_member(monkeypatch):
    model = built(monkeypatch, EfficientAd, SOURCE, model_size="medium")
    assert model.given["model_size"].name == "M"
    del model.given["model_size"]
    assert model.given == {
        "teacher_out_channels": 384,
        "padding": False,
        "pad_maps": True,
    }


def test_another_size_of_the_networks_is_refused():
    with pytest.raises(ValidationError):
        EfficientAd.arguments_class(model_size="large")


def test_networks_scale_their_input_themselves():
    assert EfficientAd.scaling == ((0, 0, 0), (1, 1, 1))
