"""FastFlow: built for one size of images, without pretrained weights."""

import pytest
from pydantic import ValidationError

from anomedge.interop.anomalib.models.fastflow import Fastflow
from tests.interop.anomalib.models.package import built


def test_it_is_built_for_the_size_without_weights(monkeypatch):
    model = built(monkeypatch, Fastflow, flow_steps=2, conv3x3_only=True)
    assert model.given == {
        "backbone": "resnet18",
        "flow_steps": 2,
        "conv3x3_only": True,
        "hidden_ratio": 1.0,
        "input_size": (32, 48),
        "pre_trained": False,
    }


@pytest.mark.parametrize(
    "wrong", [{"flow_steps": 65}, {"hidden_ratio": 0}, {"backbone": "a/b"}]
)
def test_arguments_out_of_range_are_refused(wrong):
    with pytest.raises(ValidationError):
        Fastflow.arguments_class(**wrong)
