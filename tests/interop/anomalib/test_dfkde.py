"""DFKDE of anomalib: score by its formula, thresholds that decide alike, and files that are refused."""

import functools
import math

import pytest
import torch

from anomedge.errors import InputError
from anomedge.interop.anomalib import import_native
from anomedge.interop.import_file import ImportOptions, import_file
from anomedge.interop.planning import Chosen
from tests.interop.anomalib import builder, formulas
from tests.interop.anomalib.comparing import images_of
from tests.interop.anomalib.refusing import refused

LAYER = "layer2"
COUNT = 3
IMAGES = (
    images_of(builder.SIZE, 6) * torch.linspace(0, 1, 6)[:, None, None, None]
)


def averages(state):
    (x,) = formulas.features(state, [LAYER], IMAGES, builder.MEAN, builder.STD)
    return x.mean(dim=(2, 3))


def state_of(**changed):
    return fitted_state() | changed


@functools.cache
def fitted_state():
    """Components of random directions, and kernels of the size of the points."""
    generator = torch.Generator().manual_seed(1)
    state = {
        f"feature_extractor.feature_extractor.{name}": tensor
        for name, tensor in builder.network([LAYER]).state_dict().items()
    }
    x = averages(state)
    vectors = torch.linalg.qr(torch.randn(128, COUNT, generator=generator)).Q
    points = (x - x.mean(dim=0)).float() @ vectors
    length = points.norm(dim=1).max()
    bandwidth = torch.eye(COUNT) * 4 + torch.ones(COUNT, COUNT).tril(-1)
    kde = "classifier.kde_model."
    own = {
        "classifier.pca_model.mean": x.mean(dim=0).float(),
        "classifier.pca_model.singular_vectors": vectors,
        "classifier.pca_model.num_components": torch.tensor([COUNT]),
        "classifier.max_length": length,
        kde + "bw_transform": bandwidth,
        kde + "dataset": points[:5] / length @ bandwidth,
        kde + "norm": bandwidth.diag().prod() * (2 * math.pi) ** (-COUNT / 2),
    }
    return state | own


def content_of(state, threshold=0.7, sensitivity=0.5, extremes=(0.6, 0.9), **changed):  # fmt: skip
    own = {"layers": (LAYER,), "n_pca_components": COUNT}
    content = builder.checkpoint_27("padim", state)
    content["hyper_parameters"] = (
        {"backbone": "resnet18", "feature_scaling_method": "scale"}
        | own
        | changed
    )
    prefix = "post_processor."
    values = (threshold, *extremes)
    for name, value in zip(
        ("_image_threshold", "image_min", "image_max"), values, strict=True
    ):
        content["state_dict"][prefix + name] = torch.tensor(value)
    post = content["anomalib_post_processor_config"]
    post["image_sensitivity"] = sensitivity
    return content


def scores_of(state, scaling="scale"):
    """anomalib's score in float64."""
    wide = {name: tensor.double() for name, tensor in state.items()}
    x = averages(state) - wide["classifier.pca_model.mean"]
    points = x @ wide["classifier.pca_model.singular_vectors"]
    if scaling == "norm":
        points = points / points.norm(dim=1, keepdim=True)
    else:
        points = points / wide["classifier.max_length"]
    kde = "classifier.kde_model."
    queries = points @ wide[kde + "bw_transform"]
    squares = torch.cdist(queries, wide[kde + "dataset"]).square()
    density = (torch.exp(-squares / 2) * wide[kde + "norm"]).mean(dim=1)
    return 1 / (1 + torch.exp(0.05 * (density.log() - 12)))


def logistic(score):
    """anomalib's score of a score of ours, -log p."""
    return 1 / (1 + torch.exp(0.05 * (-score.double() - 12)))


@pytest.mark.parametrize("scaling", ["scale", "norm"])
def test_the_score_is_the_logarithm_within_anomalibs(scaling, tmp_path):
    state = state_of()
    content = content_of(state, feature_scaling_method=scaling)
    imported = import_native(builder.saved(content, tmp_path))
    assert imported.pipeline.name == "dfkde"
    with torch.no_grad():
        found = imported.pipeline(IMAGES)
    assert found.anomaly_map is None
    expected = scores_of(state, scaling)
    error = (logistic(found.score) - expected).abs().max()
    assert error < 1e-5 * (expected.max() - expected.min())


@pytest.mark.parametrize(
    ("place", "sensitivity"), [(0, 0.5), (3, 0.5), (2, 0.45), (2, 0.55)]
)
def test_pictures_are_above_the_same_threshold(place, sensitivity, tmp_path):
    """The file's threshold is midway between two scores."""
    state = state_of()
    scores = scores_of(state)
    ordered = scores.sort().values
    midway = float(ordered[place : place + 2].mean())
    low, high = float(ordered[0]), float(ordered[-1])
    content = content_of(state, midway, sensitivity, (low, high))
    path = builder.saved(content, tmp_path)
    model = import_file(path, ImportOptions()).model
    with torch.no_grad():
        raw = model.pipeline(IMAGES).score
    normalised = (scores - midway) / (high - low) + 0.5
    expected = normalised > 1 - sensitivity
    assert 0 < expected.sum() < len(expected)
    assert torch.equal(raw > model.decision.threshold, expected)
    assert not model.decision.has_map


def test_the_picture_that_gave_the_threshold_is_normal(tmp_path):
    state = state_of()
    scores = scores_of(state).float()
    stated = float(scores.sort().values[3])
    path = builder.saved(content_of(state, stated), tmp_path)
    model = import_file(path, ImportOptions()).model
    with torch.no_grad():
        raw = model.pipeline(IMAGES).score
    assert torch.equal(raw > model.decision.threshold, scores > stated)


def test_a_threshold_near_1_is_where_the_density_vanishes(tmp_path):
    """exp(-d^2 / 2) is 0 in float32 from 103.97 on; the factor adds log(norm), the mean of five kernels log(5)."""
    state = state_of()
    path = builder.saved(content_of(state, 0.999999), tmp_path)
    threshold = import_file(path, ImportOptions()).model.decision.threshold
    log_norm = float(state["classifier.kde_model.norm"].log())
    assert log_norm > 0
    expected = 103.972 + math.log(5) - log_norm
    assert threshold == pytest.approx(expected, rel=1e-4)
    kernel = torch.tensor([-103.9, -104.1]).exp()
    assert kernel[0] > 0
    assert kernel[1] == 0


@pytest.mark.parametrize(
    ("threshold", "kind"), [(1.0, "normal"), (1.5, "normal"), (0.0, "anomalous")]
)  # fmt: skip
def test_a_threshold_that_anomalib_cannot_cross_is_refused(
    threshold, kind, tmp_path
):
    path = builder.saved(content_of(state_of(), threshold), tmp_path)
    with pytest.raises(InputError, match=f"calls every picture {kind}.*give --threshold"):  # fmt: skip
        import_file(path, ImportOptions())
    given = ImportOptions(chosen=Chosen(threshold=3.0))
    decision = import_file(path, given).model.decision
    assert decision.threshold == 3.0
    assert decision.minimum == pytest.approx(20 * math.log(0.6 / 0.4) - 12)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"classifier.kde_model.dataset": torch.empty(0)}, "empty tensor"),
        ({"classifier.kde_model.dataset": torch.rand(4, 2)}, "expected .*k, k. and .N, k"),
        ({"classifier.kde_model.norm": torch.tensor(torch.inf)}, "not finite"),
        ({"classifier.kde_model.norm": torch.tensor(0.0)}, "scores are all 1"),
        ({"classifier.max_length": torch.tensor(0.0)}, "largest length 0"),
        ({"classifier.pca_model.mean": torch.rand(9), "classifier.pca_model.singular_vectors": torch.rand(9, COUNT)},
         "components of 9 features; expected 128"),
    ],
)  # fmt: skip
def test_statistics_that_cannot_be_used_are_refused(changed, match, tmp_path):
    refused(content_of(state_of(**changed)), tmp_path, match)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"feature_scaling_method": "max"}, "got feature_scaling_method 'max'"),
        ({"layers": ("layer2", "layer3")}, "expected one: anomalib scores"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(changed, match, tmp_path):
    refused(content_of(state_of(), **changed), tmp_path, match)
