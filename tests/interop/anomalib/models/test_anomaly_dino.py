"""AnomalyDINO: an untrained encoder, and no masks of the background."""

import pytest
from pydantic import ValidationError

from anomedge.interop.anomalib.models.anomaly_dino import AnomalyDino
from tests.interop.anomalib.models.package import built

SOURCE = """
class AnomalyDINOModel(Recorded):
    def __init__(self, encoder_name, **given):
        super().__init__(encoder_name=encoder_name, **given)
        self.feature_encoder = TimmFeatureExtractor(backbone=encoder_name)
"""


def test_the_encoder_is_untrained(monkeypatch):
    model = built(monkeypatch, AnomalyDino, SOURCE, num_neighbours=3)
    assert model.given == {
        "encoder_name": "vit_small_patch14_dinov2",
        "num_neighbours": 3,
        "masking": False,
    }
    assert model.feature_encoder.given["pre_trained"] is False


def test_masks_of_the_background_are_refused():
    with pytest.raises(ValidationError):
        AnomalyDino.arguments_class(masking=True)


def test_only_the_bank_has_a_shape_of_its_fit():
    assert AnomalyDino.is_sized("memory_bank")
    assert not AnomalyDino.is_sized("feature_encoder.weight")
