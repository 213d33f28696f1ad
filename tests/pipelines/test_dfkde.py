"""DFKDE against its formula, in float64 by numpy and scipy."""

import copy
import warnings

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from torch import nn

from anomedge.errors import InputError
from anomedge.pipelines import FitData
from anomedge.pipelines.dfkde import Dfkde, DfkdeOptions
from anomedge.pipelines.fitting import FitOptions, fit
from anomedge.pipelines.model import load, save
from anomedge.resample import Geometry
from tests.pipelines.laws import (
    assert_a_batch_is_its_images,
    assert_equal_tensors,
)
from tests.pipelines.levels import LAYERS, SIZE, Levels

SCALINGS = ("scale", "norm")


def noise(count, seed=1):
    """Smooth noise, whose averages differ."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 2, 2, generator=generator)
    return torch.nn.functional.interpolate(coarse, size=SIZE)


def options_of(**options):
    own = {"backbone": Levels(), "layers": LAYERS, "components": 4}
    return DfkdeOptions.checked(**own | options)


def fitted(count=20, seed=0, **options):
    """A detector of 10 features (both layers), fitted to noise."""
    images = noise(count)
    data = FitData([images[:5], images[5:]], size=SIZE, seed=seed)
    return Dfkde.fit(data, options_of(**options)), images


def averages_of(pipeline, images):
    with torch.no_grad():
        maps = pipeline.features(images).values()
    return np.concatenate(
        [x.double().numpy().mean(axis=(2, 3)) for x in maps], axis=1
    )


def expected_of(pipeline, train, test):
    """The negative logarithm of the mean of the kernels."""
    k, scaling = pipeline.config.n_components, pipeline.config.scaling
    x = averages_of(pipeline, train)
    mean = x.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov(x, rowvar=False))
    own, other = (
        (values - mean) @ vectors[:, ::-1][:, :k]
        for values in (x, averages_of(pipeline, test))
    )
    if scaling == "scale":
        longest = np.linalg.norm(own, axis=1).max()
        own, other = own / longest, other / longest
    else:
        own, other = (
            values / np.linalg.norm(values, axis=1, keepdims=True)
            for values in (own, other)
        )
    bandwidth = len(own) ** (-1 / (k + 4))
    covariance = bandwidth**2 * np.cov(own, rowvar=False)
    kernels = np.stack(
        [multivariate_normal(y, covariance).logpdf(other) for y in own]
    )
    return np.log(len(own)) - logsumexp(kernels, axis=0)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_float64_is_the_formula(float64, scaling):
    pipeline, train = fitted(scaling=scaling)
    test = torch.cat([noise(6, seed=2), 20 * noise(1, seed=3)])
    with torch.no_grad():
        found = pipeline(test)
    assert found.anomaly_map is None
    expected = expected_of(pipeline, train, test)
    np.testing.assert_allclose(found.score, expected, rtol=1e-9)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_float32_is_the_formula_to_the_range(scaling):
    pipeline, train = fitted(scaling=scaling)
    test = noise(7, seed=2)
    with torch.no_grad():
        found = pipeline(test).score.numpy()
    expected = expected_of(pipeline, train, test)
    assert np.abs(found - expected).max() <= 1e-5 * np.ptp(expected)


def test_scores_of_far_pictures_are_finite_and_ordered():
    """The density itself is 0 in float32 from the second one on."""
    pipeline, _ = fitted()
    far = torch.cat([noise(1, seed=3) * 10.0**power for power in range(1, 7)])
    with torch.no_grad():
        score = pipeline(far).score
        density = pipeline.kde(pipeline.stages(far)["points"])
    assert not density[1:].any()
    assert bool(torch.isfinite(score).all())
    assert bool((score.diff() > 0).all())


def test_a_picture_at_the_centre_has_a_finite_score():
    pipeline, _ = fitted(scaling="norm")
    points = pipeline.points(pipeline.center[None])
    assert not points.any()
    assert bool(torch.isfinite(pipeline.kde.log_density(points)).all())


@pytest.mark.parametrize("scaling", SCALINGS)
def test_a_batch_equals_its_images_one_by_one(scaling):
    pipeline, _ = fitted(scaling=scaling)
    test = noise(8, seed=2)
    assert_a_batch_is_its_images(pipeline, test)


def test_points_are_drawn_by_the_seed():
    (first, images), (second, _), (third, _) = (
        fitted(seed=seed, max_points=12) for seed in (0, 0, 1)
    )
    assert first.config.n_points == len(first.kde.dataset) == 12
    assert_equal_tensors(first, second)
    assert not torch.equal(first.kde.dataset, third.kde.dataset)
    twin = first.refit(
        FitData([images], size=SIZE), {"extractor": first.extractor}
    )
    assert twin.config == first.config
    with torch.no_grad():
        torch.testing.assert_close(twin(images)[0], first(images)[0])


def test_folds_are_fits_without_their_images():
    options = options_of(components=2)
    data = FitData(list(noise(9).split(4)), size=SIZE)
    first, second, whole = Dfkde.fit_folds(data, options, [[0, 4], [1, 2]])
    expected = Dfkde.fit(data.part({0, 3, 4, 5, 6, 7, 8}), options)
    test = noise(2, seed=2)
    with torch.no_grad():
        assert torch.allclose(second(test)[0], expected(test)[0], rtol=1e-4)
        assert not torch.allclose(first(test)[0], second(test)[0])
        assert torch.equal(whole(test)[0], Dfkde.fit(data, options)(test)[0])


def test_refit_estimates_statistics_of_other_networks():
    pipeline, train = fitted()
    state = copy.deepcopy(pipeline.state_dict())
    other = copy.deepcopy(pipeline.extractor)
    with torch.no_grad():
        for weight in other.parameters():
            weight.mul_(1.1)
    fewer = FitData([train[:12]], size=SIZE)
    twin = pipeline.refit(fewer, {"extractor": other})
    assert twin.config.n_points == 12
    assert pipeline.config.n_points == 20
    assert not torch.equal(twin.center, pipeline.center)
    for name, tensor in pipeline.state_dict().items():
        assert torch.equal(tensor, state[name]), name


def test_refit_keeps_the_directions_of_its_own_features():
    """The last of the components has nearly the variance of the next one: estimated again, it would be another one."""
    pipeline, train = fitted()
    other = copy.deepcopy(pipeline.extractor)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in other.parameters():
            noise = torch.randn(weight.shape, generator=generator)
            weight.add_(0.2 * weight.std() * noise)
    data = FitData([train], size=SIZE)
    twin = pipeline.refit(data, {"extractor": other})
    before, after = (
        nn.functional.normalize(each.components, dim=0)
        for each in (pipeline, twin)
    )
    torch.testing.assert_close(before, after, atol=1e-5, rtol=0)
    assert not torch.equal(twin.kde.dataset, pipeline.kde.dataset)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"count": 4}, "got 4 pictures for 4 components.*--components 2"),
        ({"components": 11}, "got 11 components of 10 features"),
        ({"max_points": 4}, "got --max-points 4; .* --components, 4: give"),
        ({"scaling": "max"}, "expected 'scale' or 'norm'"),
        ({"sigma": 4.0}, "got the option sigma"),
    ],
)
def test_what_cannot_be_fitted_is_refused(options, match):
    with pytest.raises(InputError, match=match):
        fitted(**options)


def test_no_images_are_refused():
    with pytest.raises(InputError, match="got no picture"):
        Dfkde.fit(FitData([], size=SIZE), options_of())


def test_defaults():
    options = DfkdeOptions()
    assert (options.components, options.max_points) == (16, 40000)
    assert options.scaling == "scale"
    assert (Dfkde.default_backbone, Dfkde.default_strides) == (
        "resnet18",
        (32,),
    )


@pytest.mark.parametrize("scaling", SCALINGS)
def test_the_model_file_and_the_traced_program_give_the_same_scores(
    pictures, tmp_path, scaling
):
    own = {"backbone": "test_efficientnet", "weights": "random"}
    options = FitOptions(
        Geometry((64, 64)),
        held_back=pictures / "held_back",
        detector=own | {"components": 3, "scaling": scaling},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = fit("dfkde", pictures / "train", options)
    save(model, tmp_path / "m.safetensors")
    loaded = load(tmp_path / "m.safetensors")
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected = model.pipeline(images).score
        assert torch.equal(loaded.pipeline(images).score, expected)
        program = torch.export.export(loaded.pipeline, (images,)).module()
        torch.testing.assert_close(program(images).score, expected)
    assert not model.decision.has_map
