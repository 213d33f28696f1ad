"""MH-PatchCore: its statistics have the shapes of the fit."""

import pytest

from anomedge.interop.anomalib.models.mh_patchcore import MhPatchcore
from tests.interop.anomalib.models.package import built


def test_it_is_built_without_weights(monkeypatch):
    model = built(monkeypatch, MhPatchcore, layers=["layer1"])
    assert model.given == {
        "backbone": "wide_resnet50_2.tv2_in1k",
        "layers": ("layer1",),
        "num_neighbors": 9,
        "pre_trained": False,
    }


@pytest.mark.parametrize(
    ("tensor", "sized"),
    [("memory_bank.bank", True), ("covariance.mean", True), ("pca.components", True), ("feature_extractor.a", False)],
)  # fmt: skip
def test_the_fit_gives_statistics_their_shapes(tensor, sized):
    assert MhPatchcore.is_sized(tensor) == sized
