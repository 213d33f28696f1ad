"""Dinomaly: an untrained encoder, and target layers as a list."""

import pytest
from pydantic import ValidationError

from anomedge.interop.anomalib.models.dinomaly import Dinomaly
from tests.interop.anomalib.models.package import built

SOURCE = """
class DinomalyModel(Recorded):
    def __init__(self, encoder_name, **given):
        super().__init__(**given)
        self.encoder = TimmFeatureExtractor(encoder_name)
"""


@pytest.mark.parametrize(("given", "layers"), [(None, None), ((2, 3), [2, 3])])
def test_target_layers_are_a_list(monkeypatch, given, layers):
    model = built(monkeypatch, Dinomaly, SOURCE, target_layers=given)
    assert model.given["target_layers"] == layers
    assert model.given["decoder_depth"] == 8
    assert model.encoder.given == {"pre_trained": False}


@pytest.mark.parametrize(
    "wrong",
    [{"target_layers": []}, {"target_layers": [128]}, {"decoder_depth": 1}, {"encoder_name": "hf-hub:a/b"}],
)  # fmt: skip
def test_arguments_out_of_range_are_refused(wrong):
    with pytest.raises(ValidationError):
        Dinomaly.arguments_class(**wrong)


def test_prototypes_are_another_models():
    own = ["encoder.a", "bottleneck.0.a", "decoder.0.a"]
    assert Dinomaly.matches(own)
    assert not Dinomaly.matches([*own, "prototype_token.0"])
