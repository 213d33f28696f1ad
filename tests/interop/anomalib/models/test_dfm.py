"""DFM: its level of the PCA has another name in the torch class."""

import pytest
from pydantic import ValidationError

from anomedge.interop.anomalib.models.dfm import Dfm
from tests.interop.anomalib.models.package import built


def test_the_level_of_the_pca_is_its_number_of_components(monkeypatch):
    model = built(monkeypatch, Dfm, pca_level=0.5, score_type="nll")
    assert model.given == {
        "backbone": "resnet50",
        "layer": "layer3",
        "pooling_kernel_size": 4,
        "score_type": "nll",
        "n_comps": 0.5,
        "pre_trained": False,
    }


@pytest.mark.parametrize(
    "wrong", [{"pca_level": 0}, {"score_type": "other"}, {"layer": "a b"}]
)
def test_arguments_out_of_range_are_refused(wrong):
    with pytest.raises(ValidationError):
        Dfm.arguments_class(**wrong)


@pytest.mark.parametrize(
    ("tensor", "sized"),
    [("pca_model.mean", True), ("gaussian_model.u_mat", True), ("feature_extractor.a", False)],
)  # fmt: skip
def test_the_fit_gives_statistics_their_shapes(tensor, sized):
    assert Dfm.is_sized(tensor) == sized
