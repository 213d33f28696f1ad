"""L2BT: an untrained teacher, two modules deep in the package."""

import pytest
from pydantic import ValidationError

from anomedge.interop.anomalib.models.l2bt import L2bt
from tests.interop.anomalib.models.package import built, installed

SOURCE = """
class L2BTModel(Recorded):
    def __init__(self, layers, **given):
        super().__init__(layers=layers, **given)
        self.teacher = FeatureExtractor(layers=layers)


class FeatureExtractor(Recorded):
    def __init__(self, layers):
        super().__init__(layers=layers)
        self.fe = TimmFeatureExtractor("vit")
"""


def test_the_teacher_is_untrained(monkeypatch):
    installed(monkeypatch, "anomalib.models.image.l2bt.teacher")
    model = built(monkeypatch, L2bt, SOURCE, layers=(3, 5))
    assert model.teacher.fe.given == {"pre_trained": False}
    assert model.teacher.given == {"layers": (3, 5)}
    assert model.given["topk_ratio"] == 0.001


@pytest.mark.parametrize(
    "wrong", [{"layers": [7]}, {"blur_w_l": 65}, {"topk_ratio": 0}]
)
def test_arguments_out_of_range_are_refused(wrong):
    with pytest.raises(ValidationError):
        L2bt.arguments_class(**wrong)
