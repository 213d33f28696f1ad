"""CFA: an extractor that is cut from an untrained backbone."""

import pytest
from pydantic import ValidationError

from anomedge.interop.anomalib.models.cfa import Cfa
from tests.interop.anomalib.models.package import built

SOURCE = """
class torchvision:
    class models:
        def resnet18(weights):
            return ("resnet18", weights)


def create_feature_extractor(model, return_nodes):
    return Recorded(model=model, return_nodes=return_nodes)


def get_feature_extractor(backbone, return_nodes):
    raise OSError("download")


class CfaModel(Recorded):
    def __init__(self, backbone, **given):
        super().__init__(backbone=backbone, **given)
        self.extractor = get_feature_extractor(backbone, ["layer1"])
"""


def test_the_extractor_is_cut_from_an_untrained_backbone(monkeypatch):
    model = built(monkeypatch, Cfa, SOURCE, backbone="resnet18", radius=0.5)
    assert model.extractor.given == {
        "model": ("resnet18", None),
        "return_nodes": ["layer1"],
    }
    assert not model.extractor.training
    assert model.given["radius"] == 0.5
    assert model.given["num_nearest_neighbors"] == 3


@pytest.mark.parametrize(
    "wrong", [{"backbone": "resnet50"}, {"radius": 0}, {"gamma_c": 0}]
)
def test_arguments_out_of_range_are_refused(wrong):
    with pytest.raises(ValidationError):
        Cfa.arguments_class(**wrong)
