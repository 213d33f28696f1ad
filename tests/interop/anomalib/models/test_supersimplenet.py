"""SuperSimpleNet: an extractor without pretrained weights, one level down."""

from anomedge.interop.anomalib.models.supersimplenet import Supersimplenet
from tests.interop.anomalib.models.package import built

SOURCE = """
class UpscalingFeatureExtractor(Recorded):
    def __init__(self, backbone, layers, patch_size=3):
        super().__init__(patch_size=patch_size)
        self.network = TimmFeatureExtractor(backbone, layers=layers)


class SupersimplenetModel(Recorded):
    def __init__(self, backbone, layers, adapt_cls_features):
        super().__init__(adapt_cls_features=adapt_cls_features)
        self.feature_extractor = UpscalingFeatureExtractor(
            backbone=backbone, layers=layers
        )
"""


def test_the_extractor_is_untrained(monkeypatch):
    model = built(monkeypatch, Supersimplenet, SOURCE, adapt_cls_features=True)
    extractor = model.feature_extractor
    assert extractor.network.given == {
        "layers": ["layer2", "layer3"],
        "pre_trained": False,
    }
    assert extractor.network.args == ("wide_resnet50_2.tv_in1k",)
    assert extractor.given == {"patch_size": 3}
    assert model.given == {"adapt_cls_features": True}
