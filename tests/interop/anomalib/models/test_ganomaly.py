"""GANomaly: built for one size of images of three channels."""

import pytest
from pydantic import ValidationError

from anomedge.interop.anomalib.models.ganomaly import Ganomaly
from tests.interop.anomalib.models.package import built


def test_it_is_built_for_the_size_and_three_channels(monkeypatch):
    model = built(monkeypatch, Ganomaly, extra_layers=2)
    assert model.given == {
        "n_features": 64,
        "latent_vec_size": 100,
        "extra_layers": 2,
        "add_final_conv_layer": True,
        "input_size": (32, 48),
        "num_input_channels": 3,
    }


def test_arguments_of_the_training_are_unknown():
    with pytest.raises(ValidationError):
        Ganomaly.arguments_class(wadv=1)
