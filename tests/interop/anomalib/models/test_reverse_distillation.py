"""Reverse distillation: the mode of its map is an enumeration of the package."""

import pytest
from pydantic import ValidationError

from anomedge.interop.anomalib.models.reverse_distillation import (
    ReverseDistillation,
)
from tests.interop.anomalib.models.package import built, installed

MODES = """
class AnomalyMapGenerationMode(str, enum.Enum):
    ADD = "add"
    MULTIPLY = "multiply"
"""


@pytest.mark.parametrize("mode", ["add", "multiply"])
def test_the_mode_of_the_map_is_a_member(monkeypatch, mode):
    package = "anomalib.models.image.reverse_distillation"
    installed(monkeypatch, f"{package}.anomaly_map", MODES)
    model = built(monkeypatch, ReverseDistillation, anomaly_map_mode=mode)
    assert model.given.pop("anomaly_map_mode").name == mode.upper()
    assert model.given == {
        "backbone": "wide_resnet50_2",
        "layers": ("layer1", "layer2", "layer3"),
        "input_size": (32, 48),
        "pre_trained": False,
    }


def test_another_mode_is_refused():
    with pytest.raises(ValidationError):
        ReverseDistillation.arguments_class(anomaly_map_mode="mean")
