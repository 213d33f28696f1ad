"""DFM against its formulas, in float64 by numpy."""

import copy
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from anomedge.errors import InputError
from anomedge.pipelines import FitData
from anomedge.pipelines.dfm import Dfm, DfmOptions
from anomedge.pipelines.fitting import FitOptions, fit
from anomedge.pipelines.model import load, save
from anomedge.resample import Geometry
from tests.pipelines.laws import (
    assert_a_batch_is_its_images,
    assert_equal_tensors,
)
from tests.pipelines.levels import SIZE, Levels

KINDS = ("fre", "nll")


def noise(count, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, *SIZE, generator=generator)


def fitted(count=12, layer="fine", **options):
    """A detector of 4 x 4 x 5 features (`fine`, pooled by 2), fitted to noise."""
    own = {"backbone": Levels(), "layers": (layer,), "pooling": 2} | options
    images = noise(count)
    data = FitData([images[:5], images[5:]], size=SIZE)
    return Dfm.fit(data, DfmOptions.checked(**own)), images


def features_of(pipeline, images):
    """The pooled features (N, C, h, w), float64."""
    with torch.no_grad():
        (x,) = pipeline.features(images).values()
    side = pipeline.config.pooling
    n, c, h, w = x.shape
    whole = x[..., : h // side * side, : w // side * side].double().numpy()
    blocks = whole.reshape(n, c, h // side, side, w // side, side)
    return blocks.mean(axis=(3, 5))


def parts(pipeline, images, level=0.97):
    """Mean, components and standard deviations of the fitted images, by the covariance's eigenvectors."""
    x = features_of(pipeline, images)
    x = x.reshape(len(x), -1)
    mean = x.mean(axis=0)
    variances, vectors = np.linalg.eigh((x - mean).T @ (x - mean) / len(x))
    variances, vectors = variances[::-1], vectors[:, ::-1]
    shares = np.cumsum(variances) / variances.sum()
    k = int(np.argmax(shares > level)) + 1
    assert pipeline.config.n_components == k
    return mean, vectors[:, :k], np.sqrt(variances[:k])


def expected_of(pipeline, train, test, level=0.97):
    """Score, and map or None."""
    mean, vectors, deviations = parts(pipeline, train, level)
    x = features_of(pipeline, test)
    offset = x.reshape(len(x), -1) - mean
    if pipeline.config.score_type == "nll":
        whitened = offset @ vectors / deviations
        determinant = np.log(deviations**2).sum()
        return (whitened**2).sum(axis=1) + determinant, None
    operator = np.eye(len(mean)) - vectors @ vectors.T
    squares = ((offset @ operator) ** 2).reshape(x.shape)
    places = torch.from_numpy(squares.sum(axis=1, keepdims=True))
    large = F.interpolate(places, size=SIZE, mode="bilinear")
    return squares.sum(axis=(1, 2, 3)), large.numpy()


@pytest.mark.parametrize("score_type", KINDS)
@pytest.mark.parametrize("count", [12, 120])
def test_float64_is_the_formula(float64, score_type, count):
    """With 120 images k is above d/2, so that the complement's basis is stored."""
    pipeline, train = fitted(count, score_type=score_type, pca_level=0.9)
    test = noise(7, seed=2) * 1.5
    with torch.no_grad():
        found = pipeline(test)
    score, anomaly_map = expected_of(pipeline, train, test, 0.9)
    np.testing.assert_allclose(found.score, score, rtol=1e-9)
    if score_type == "nll":
        assert found.anomaly_map is None
        return
    assert pipeline.is_complement is (count == 120)
    np.testing.assert_allclose(found.anomaly_map, anomaly_map, rtol=1e-9)
    assert min(pipeline.basis.shape) <= 80 // 2


@pytest.mark.parametrize("score_type", KINDS)
def test_float32_is_the_formula_to_the_range(score_type):
    pipeline, train = fitted(score_type=score_type)
    test = noise(7, seed=2) * 1.5
    with torch.no_grad():
        found = pipeline(test).score.numpy()
    score, _ = expected_of(pipeline, train, test)
    assert np.abs(found - score).max() <= 1e-5 * np.ptp(score)


@pytest.mark.parametrize("score_type", KINDS)
def test_a_batch_equals_its_images_one_by_one(score_type):
    pipeline, _ = fitted(score_type=score_type)
    test = noise(8, seed=2)
    assert_a_batch_is_its_images(pipeline, test)


@pytest.mark.parametrize("score_type", KINDS)
def test_equal_data_give_equal_tensors(score_type):
    first, second = (fitted(score_type=score_type)[0] for _ in range(2))
    assert_equal_tensors(first, second)


def test_folds_are_fits_without_their_images():
    options = DfmOptions(backbone=Levels(), layers=("fine",), pooling=2)
    data = FitData(list(noise(9).split(4)), size=SIZE)
    first, second, whole = Dfm.fit_folds(data, options, [[0, 4], [1, 2]])
    expected = Dfm.fit(data.part({0, 3, 4, 5, 6, 7, 8}), options)
    test = noise(2, seed=2)
    with torch.no_grad():
        assert torch.allclose(second(test)[0], expected(test)[0], rtol=1e-4)
        assert not torch.allclose(first(test)[0], second(test)[0])
        assert torch.equal(whole(test)[0], Dfm.fit(data, options)(test)[0])


def test_the_likelihood_has_no_folds(pictures):
    own = {"backbone": "test_efficientnet", "weights": "random", "pooling": 2}
    detector = own | {"score_type": "nll"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        options = FitOptions(Geometry((64, 64)), detector=detector)
        model = fit("dfm", pictures / "train", options)
        assert len(model.card.fitted) == 6  # of 8
        options = FitOptions(Geometry((64, 64)), folds=4, detector=detector)
        with pytest.raises(
            InputError, match="got folds with the score type nll"
        ):
            fit("dfm", pictures / "train", options)


@pytest.mark.parametrize("score_type", KINDS)
def test_refit_estimates_statistics_of_other_networks(score_type):
    pipeline, train = fitted(score_type=score_type)
    state = copy.deepcopy(pipeline.state_dict())
    other = copy.deepcopy(pipeline.extractor)
    with torch.no_grad():
        for weight in other.parameters():
            weight.mul_(1.1)
    data = FitData([train], size=SIZE)
    twin = pipeline.refit(data, {"extractor": other})
    assert twin.config == pipeline.config
    assert not torch.equal(twin.center, pipeline.center)
    for name, tensor in pipeline.state_dict().items():
        assert torch.equal(tensor, state[name]), name
    same = pipeline.refit(data, {"extractor": pipeline.extractor})
    with torch.no_grad():
        torch.testing.assert_close(same(train)[0], pipeline(train)[0])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"layers": ("fine", "coarse")}, "expected one: give --layers fine"),
        ({"pooling": 9}, "got a feature map of 8x10.*--pooling 8 or less"),
        ({"pooling": 4}, "8x10 to average over 4x4.*no defect there would be seen.*--pooling 1 or 2, or a --size .*--crop or --tile.* of multiples of 16"),
        ({"count": 100, "pca_level": 0.9999999}, "got 80 components of 80 features"),
        ({"pca_level": 1.0}, "expected more than 0 and less than 1"),
        ({"sigma": 4.0}, "got the option sigma"),
    ],
)  # fmt: skip
def test_what_cannot_be_fitted_is_refused(options, match):
    with pytest.raises(InputError, match=match):
        fitted(**options)


def test_no_images_are_refused():
    own = DfmOptions(backbone=Levels(), layers=("fine",), pooling=2)
    with pytest.raises(InputError, match="got no picture"):
        Dfm.fit(FitData([], size=SIZE), own)


def test_components_without_variance_are_refused():
    pipeline, train = fitted(score_type="nll")
    twice = FitData([train[:1].expand(12, -1, -1, -1)], size=SIZE)
    with pytest.raises(InputError, match="some without variance"):
        pipeline.refit(twice, {"extractor": pipeline.extractor})


def test_paper_defaults():
    options = DfmOptions()
    assert (options.pooling, options.pca_level) == (4, 0.97)
    assert options.score_type == "fre"
    assert (Dfm.default_backbone, Dfm.default_strides) == ("resnet50", (16,))


@pytest.mark.parametrize("score_type", KINDS)
def test_the_model_file_and_the_traced_program_give_the_same_scores(
    pictures, tmp_path, score_type
):
    own = {"backbone": "test_efficientnet", "weights": "random", "pooling": 2}
    options = FitOptions(
        Geometry((64, 64)),
        held_back=pictures / "held_back",
        detector=own | {"score_type": score_type},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = fit("dfm", pictures / "train", options)
    save(model, tmp_path / "m.safetensors")
    loaded = load(tmp_path / "m.safetensors")
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected = model.pipeline(images)
        for found, wanted in zip(
            loaded.pipeline(images), expected, strict=True
        ):
            assert wanted is None or torch.equal(found, wanted)
        program = torch.export.export(loaded.pipeline, (images,)).module()
        torch.testing.assert_close(program(images).score, expected.score)
    assert model.decision.has_map is (score_type == "fre")
