"""FRE: its arguments, without pretrained weights."""

import pytest
from pydantic import ValidationError

from anomedge.interop.anomalib.models.fre import Fre
from tests.interop.anomalib.models.package import built


def test_it_is_built_without_weights(monkeypatch):
    model = built(monkeypatch, Fre, latent_dim=7, input_dim=64)
    assert model.given == {
        "backbone": "resnet50",
        "layer": "layer3",
        "pooling_kernel_size": 2,
        "input_dim": 64,
        "latent_dim": 7,
        "pre_trained": False,
    }


@pytest.mark.parametrize("wrong", [{"input_dim": (1 << 21) + 1}, {"latent_dim": 0}])  # fmt: skip
def test_sizes_that_would_fill_the_memory_are_refused(wrong):
    with pytest.raises(ValidationError):
        Fre.arguments_class(**wrong)
