"""U-Flow: untrained extractors of both kinds."""

import pytest
from pydantic import ValidationError

from anomedge.interop.anomalib.models.uflow import Uflow
from tests.interop.anomalib.models.package import built, installed

SOURCE = """
def get_feature_extractor(backbone, input_size):
    raise OSError("download")


class UflowModel(Recorded):
    def __init__(self, input_size, backbone, **given):
        super().__init__(**given)
        self.feature_extractor = get_feature_extractor(backbone, input_size)
"""
EXTRACTORS = """
class timm:
    def create_model(name, pretrained=False):
        return Recorded(name=name, pre_trained=pretrained)


class CaitFeatureExtractor(Recorded):
    def __init__(self):
        super().__init__()
        self.first = timm.create_model("cait_m48_448", pretrained=True)


class Information:
    def channels(self):
        return [4, 6]

    def reduction(self):
        return [4, 8]


class TimmFeatureExtractor(Recorded):
    def __init__(self, backbone, layers, pre_trained=True):
        super().__init__(backbone=backbone, pre_trained=pre_trained)
        self.feature_extractor = nn.Module()
        self.feature_extractor.feature_info = Information()


class LayerNormFeatureExtractor(TimmFeatureExtractor):
    def __init__(self, backbone, input_size):
        raise OSError("download")
"""


@pytest.fixture
def extractor(monkeypatch):
    def build(backbone):
        package = "anomalib.models.image.uflow"
        installed(monkeypatch, f"{package}.feature_extraction", EXTRACTORS)
        model = built(monkeypatch, Uflow, SOURCE, backbone=backbone)
        return model.feature_extractor

    return build


def test_transformers_are_untrained(extractor):
    made = extractor("mcait").first
    assert made.given == {"name": "cait_m48_448", "pre_trained": False}


def test_a_resnet_is_untrained_and_has_a_norm_for_each_layer(extractor):
    """The shapes of the norms are those of the layers at 32x48 pixels."""
    made = extractor("resnet18")
    assert made.given == {"backbone": "resnet18", "pre_trained": False}
    assert (made.channels, made.scale_factors) == ([4, 6], [4, 8])
    assert [norm.normalized_shape for norm in made.feature_normalizations] == [
        (4, 8, 12),
        (6, 4, 6),
    ]
    assert list(made.scales) == [0, 1]


def test_another_backbone_is_refused():
    with pytest.raises(ValidationError):
        Uflow.arguments_class(backbone="resnet50")


def test_an_adaptor_is_another_models():
    assert Uflow.matches(["feature_extractor.a", "flow.a"])
    assert not Uflow.matches(
        ["feature_extractor.a", "flow.a", "feature_adaptor.a"]
    )
