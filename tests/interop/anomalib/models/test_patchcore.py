"""PatchCore of the package: told from CFA by its lack of a descriptor."""

import pytest
from pydantic import ValidationError

from anomedge.interop.anomalib.models.patchcore import Patchcore
from tests.interop.anomalib.models.package import built


def test_it_is_built_without_weights(monkeypatch):
    model = built(monkeypatch, Patchcore, num_neighbors=1)
    assert model.given == {
        "backbone": "wide_resnet50_2",
        "layers": ("layer2", "layer3"),
        "num_neighbors": 1,
        "pre_trained": False,
    }


def test_a_descriptor_is_another_models():
    own = ["memory_bank", "feature_extractor.conv1.weight"]
    assert Patchcore.matches(own)
    assert not Patchcore.matches([*own, "descriptor.layer.weight"])
    assert not Patchcore.matches(own[:1])


@pytest.mark.parametrize("neighbors", [0, 1025, "many"])
def test_neighbours_have_a_range(neighbors):
    with pytest.raises(ValidationError):
        Patchcore.arguments_class(num_neighbors=neighbors)
