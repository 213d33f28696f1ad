"""DFM of anomalib: score and map by its formulas, and files that are refused."""

import pytest
import torch
import torch.nn.functional as F

from anomedge.interop.anomalib import import_native
from tests.interop.anomalib import builder, formulas
from tests.interop.anomalib.comparing import images_of
from tests.interop.anomalib.refusing import refused

LAYER = "layer2"
FEATURES = 128 * 2 * 3  # layer2 of 32x48 has 4x6 places, pooled by 2
COUNT = 5


def orthonormal(rows, columns, seed):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(rows, columns, generator=generator)
    return torch.linalg.qr(values).Q


def statistics(score_type):
    empty = torch.empty(0)
    found = {
        "pca_model.mean": torch.rand(FEATURES),
        "pca_model.singular_vectors": orthonormal(FEATURES, COUNT, 1),
        "pca_model.num_components": torch.tensor([COUNT]),
        "gaussian_model.mean_vec": empty,
        "gaussian_model.u_mat": empty,
        "gaussian_model.sigma_mat": empty,
    }
    if score_type == "nll":
        found["gaussian_model.mean_vec"] = torch.randn(COUNT)
        found["gaussian_model.u_mat"] = orthonormal(COUNT, COUNT, 2)
        found["gaussian_model.sigma_mat"] = torch.linspace(0.5, 0.1, COUNT)
    return found


def state_of(score_type="fre", **changed):
    torch.manual_seed(3)
    state = statistics(score_type) | changed
    for name, tensor in builder.network([LAYER]).state_dict().items():
        state[f"feature_extractor.feature_extractor.{name}"] = tensor
    return state


def content_of(state, **changed):
    own = {"layer": LAYER, "pooling_kernel_size": 2, "pca_level": 0.97}
    arguments = {"score_type": "fre"} | own | changed
    content = builder.checkpoint_27("padim", state)
    content["hyper_parameters"] = {"backbone": "resnet18"} | arguments
    return content


def expected_of(state, score_type):
    """Score, and map or None, of anomalib's eager model in float64."""
    (x,) = formulas.features(
        state, [LAYER], images_of(builder.SIZE), builder.MEAN, builder.STD
    )
    pooled = F.avg_pool2d(x, 2)
    wide = {name: tensor.double() for name, tensor in state.items()}
    vectors = wide["pca_model.singular_vectors"]
    centred = pooled.flatten(1) - wide["pca_model.mean"]
    reduced = centred @ vectors
    if score_type == "nll":
        deviations = wide["gaussian_model.sigma_mat"]
        turned = (reduced - wide["gaussian_model.mean_vec"]) @ wide[
            "gaussian_model.u_mat"
        ]
        squares = (turned / deviations).square().sum(dim=1)
        return squares + 2 * deviations.log().sum(), None
    residual = (centred - reduced @ vectors.mT).square()
    places = residual.reshape(pooled.shape).sum(dim=1, keepdim=True)
    anomaly_map = F.interpolate(places, size=builder.SIZE, mode="bilinear")
    return residual.sum(dim=1), anomaly_map


@pytest.mark.parametrize("score_type", ["fre", "nll"])
def test_score_and_map_are_those_of_anomalib(score_type, tmp_path):
    state = state_of(score_type)
    content = content_of(state, score_type=score_type)
    imported = import_native(builder.saved(content, tmp_path))
    assert imported.pipeline.name == "dfm"
    assert {line.source for line in imported.taken} == {"file"}
    score, anomaly_map = expected_of(state, score_type)
    with torch.no_grad():
        found = imported.pipeline(images_of(builder.SIZE))
    error = (found.score - score).abs().max()
    assert error < 1e-5 * (score.max() - score.min())
    if anomaly_map is None:
        assert found.anomaly_map is None
        return
    error = (found.anomaly_map - anomaly_map).abs().max()
    assert error < 1e-5 * (anomaly_map.max() - anomaly_map.min())


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"pca_model.singular_vectors": torch.empty(0)}, "empty tensor pca_model"),
        ({"pca_model.singular_vectors": torch.rand(7, 2)}, r"expected \(d,\) and \(d, k\)"),
        ({"pca_model.mean": torch.full((FEATURES,), torch.nan)}, "not finite"),
        ({"pca_model.mean": torch.rand(9), "pca_model.singular_vectors": torch.rand(9, 2)}, "768 features; expected 9"),
    ],
)  # fmt: skip
def test_components_that_cannot_be_used_are_refused(changed, match, tmp_path):
    refused(content_of(state_of(**changed)), tmp_path, match)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"gaussian_model.u_mat": torch.empty(0)}, "empty tensor gaussian_model.u_mat"),
        ({"gaussian_model.sigma_mat": torch.rand(3)}, r"expected \(k,\), \(k, r\) and \(r,\) with k = 5"),
        ({"gaussian_model.sigma_mat": torch.zeros(COUNT)}, "some without variance"),
    ],
)  # fmt: skip
def test_a_gaussian_that_cannot_be_used_is_refused(changed, match, tmp_path):
    state = state_of("nll", **changed)
    refused(content_of(state, score_type="nll"), tmp_path, match)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"score_type": "max"}, "got score_type 'max'"),
        ({"layer": None}, "got the layers"),
        ({"pooling_kernel_size": "4"}, "got pooling_kernel_size '4'"),
        ({"pooling_kernel_size": 999}, "got pooling = 999"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(changed, match, tmp_path):
    refused(content_of(state_of(), **changed), tmp_path, match)
