"""PatchFlow: built for one size of images."""

import pytest
from pydantic import ValidationError

from anomedge.interop.anomalib.models.patchflow import Patchflow
from tests.interop.anomalib.models.package import built


def test_it_is_built_for_the_size_without_weights(monkeypatch):
    model = built(monkeypatch, Patchflow, crop_size=(24, 40))
    assert model.given["input_size"] == (32, 48)
    assert model.given["crop_size"] == (24, 40)
    assert model.given["pre_trained"] is False
    assert model.given["flow_feature_dim"] == 128


@pytest.mark.parametrize(
    "wrong", [{"num_scales": 17}, {"flow_hidden_dim": 4097}, {"crop_size": [8]}]
)
def test_arguments_out_of_range_are_refused(wrong):
    with pytest.raises(ValidationError):
        Patchflow.arguments_class(**wrong)
