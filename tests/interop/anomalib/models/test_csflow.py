"""CS-Flow: built for one size, on an untrained EfficientNet."""

from anomedge.interop.anomalib.models.csflow import Csflow
from tests.interop.anomalib.models.package import built

SOURCE = """
def efficientnet_b5(weights):
    if weights:
        raise OSError("download")
    return Recorded(weights=weights)


class CsFlowMultiScaleFeatureExtractor(Recorded):
    def __init__(self, n_scales, input_size):
        super().__init__(n_scales=n_scales, input_size=input_size)
        self.network = efficientnet_b5(weights="IMAGENET1K_V1")


class CsFlowModel(Recorded):
    def __init__(self, input_size, **given):
        super().__init__(input_size=input_size, **given)
        self.extractor = CsFlowMultiScaleFeatureExtractor(
            n_scales=3, input_size=input_size
        )
"""


def test_the_backbone_is_untrained(monkeypatch):
    model = built(monkeypatch, Csflow, SOURCE, n_coupling_blocks=2)
    assert model.extractor.network.given == {"weights": None}
    assert model.extractor.given == {"n_scales": 3, "input_size": (32, 48)}
    assert model.given == {
        "input_size": (32, 48),
        "cross_conv_hidden_channels": 1024,
        "n_coupling_blocks": 2,
        "clamp": 3,
        "num_channels": 3,
    }
