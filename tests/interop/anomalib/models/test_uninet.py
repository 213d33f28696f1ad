"""UniNet: two teachers that are cut from untrained backbones."""

import pytest
from pydantic import ValidationError
from torch import nn

from anomedge.interop.anomalib.models.uninet import UniNet
from tests.interop.anomalib.models.package import built

SOURCE = """
class torchvision:
    class models:
        def resnet18(weights):
            return ("resnet18", weights)


def create_feature_extractor(model, return_nodes):
    return Recorded(model, return_nodes=return_nodes)


class Teachers(nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.source_teacher = self._get_teacher(backbone)
        self.target_teacher = self._get_teacher(backbone)

    def _get_teacher(self, backbone):
        raise OSError("download")


class UniNetModel(Recorded):
    def __init__(self, student_backbone, teacher_backbone, loss):
        super().__init__(student_backbone=student_backbone, loss=loss)
        self.teachers = Teachers(teacher_backbone)
"""


def test_both_teachers_are_untrained(monkeypatch):
    model = built(monkeypatch, UniNet, SOURCE, teacher_backbone="resnet18")
    teachers = model.teachers
    assert teachers.source_teacher.args == (("resnet18", None),)
    assert teachers.source_teacher.given == {
        "return_nodes": ["layer3", "layer2", "layer1"]
    }
    assert teachers.target_teacher is not teachers.source_teacher
    assert "_get_teacher" not in vars(teachers)
    assert isinstance(model.given["loss"], nn.Identity)
    assert model.given["student_backbone"] == "wide_resnet50_2"


def test_another_backbone_is_refused():
    with pytest.raises(ValidationError):
        UniNet.arguments_class(teacher_backbone="resnet101")
