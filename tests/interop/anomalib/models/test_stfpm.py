"""STFPM: a teacher without pretrained weights, and the package as it was."""

import pytest

from anomedge.interop.anomalib.models.stfpm import Stfpm
from tests.interop.anomalib.models.package import built

SOURCE = """
class STFPMModel(Recorded):
    def __init__(self, layers, backbone="resnet18"):
        super().__init__(layers=layers, backbone=backbone)
        self.teacher_model = TimmFeatureExtractor(
            backbone=backbone, pre_trained=True, layers=layers
        )
        self.student_model = TimmFeatureExtractor(
            backbone=backbone, pre_trained=False, layers=layers
        )
"""


def test_neither_network_is_trained(monkeypatch):
    model = built(monkeypatch, Stfpm, SOURCE, layers=("layer1",))
    expected = {
        "backbone": "resnet18",
        "pre_trained": False,
        "layers": ("layer1",),
    }
    assert model.teacher_model.given == expected
    assert model.student_model.given == expected


def test_the_package_itself_still_asks_for_weights(monkeypatch):
    model = built(monkeypatch, Stfpm, SOURCE)
    with pytest.raises(OSError, match="download"):
        type(model)(("layer1",))
