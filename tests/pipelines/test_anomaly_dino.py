"""AnomalyDINO against its formulas, in float64 by numpy."""

import copy
import warnings

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter

from anomedge.components import FeatureExtractor
from anomedge.errors import InputError, ModelError
from anomedge.pipelines import FitData
from anomedge.pipelines.anomaly_dino import (
    AnomalyDino,
    AnomalyDinoConfig,
    AnomalyDinoOptions,
)
from anomedge.pipelines.fitting import FitOptions, fit
from anomedge.pipelines.model import load, save
from anomedge.resample import Geometry
from tests.pipelines.laws import (
    assert_a_batch_is_its_images,
    assert_equal_tensors,
)
from tests.pipelines.levels import SIZE, Levels

TINY = {"backbone": "test_vit3", "weights": "random"}


def noise(count, seed=1, size=SIZE):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, *size, generator=generator)


def fitted(count=5, inside=None, size=SIZE, **options):
    """A detector with patches of 4 features (`fine`, stride 4), fitted to noise."""
    own = {"backbone": Levels(), "layers": ("fine",)} | options
    images = noise(count, size=size)
    data = FitData([images[:2], images[2:]], size=size, inside=inside)
    made = AnomalyDino.fit(data, AnomalyDinoOptions.checked(**own))
    return made.eval(), images


def unit_patches(pipeline, images):
    """The patches of unit length (B, P, d), float64."""
    with torch.no_grad():
        (x,) = pipeline.features(images).values()
    x = x.double().numpy().reshape(*x.shape[:2], -1).transpose(0, 2, 1)
    return x / np.linalg.norm(x, axis=2, keepdims=True)


def expected_of(pipeline, train, test):
    """Distances (B, P), score (B,) and map (B, 1, H, W) of a bank of all patches."""
    bank = unit_patches(pipeline, train)
    bank = bank.reshape(-1, bank.shape[2])
    distances = (1 - unit_patches(pipeline, test) @ bank.T).min(axis=2)
    count = max(1, int(0.01 * distances.shape[1]))
    score = np.sort(distances, axis=1)[:, -count:].mean(axis=1)
    grid = distances.reshape(-1, 1, *pipeline.patches.grid)
    size = pipeline.config.size
    large = F.interpolate(torch.from_numpy(grid), size=size, mode="bilinear")
    blurred = gaussian_filter(
        large.numpy(), sigma=(0, 0, 4, 4), mode="mirror", truncate=4
    )
    return distances, score, blurred


@pytest.mark.parametrize("size", [(32, 40), (48, 80)])
def test_float64_is_the_formula(float64, size):
    """The score is that of 1 patch of 80, and of 2 of 240."""
    pipeline, train = fitted(size=size)
    test = noise(4, seed=2, size=size) * 1.5
    with torch.no_grad():
        stages = pipeline.stages(test)
    distances, score, anomaly_map = expected_of(pipeline, train, test)
    found = stages["distances"].flatten(1)
    np.testing.assert_allclose(found, distances, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(stages["score"], score, rtol=1e-9)
    np.testing.assert_allclose(stages["anomaly_map"], anomaly_map, rtol=1e-9)


def test_float32_is_the_formula_to_the_range():
    pipeline, train = fitted()
    test = noise(4, seed=2) * 1.5
    with torch.no_grad():
        found = pipeline(test)
    _, score, anomaly_map = expected_of(pipeline, train, test)
    for values, wanted in zip(found, (score, anomaly_map), strict=True):
        error = np.abs(values.numpy() - wanted).max()
        assert error <= 1e-5 * np.ptp(wanted)


def test_a_batch_equals_its_images_one_by_one():
    pipeline, _ = fitted()
    test = noise(8, seed=2)
    assert_a_batch_is_its_images(pipeline, test)


def test_equal_data_give_equal_tensors():
    first, second = (fitted(coreset=0.3)[0] for _ in range(2))
    assert_equal_tensors(first, second)


@pytest.mark.parametrize(("share", "vectors"), [(1.0, 400), (0.25, 100)])
def test_the_bank_holds_patches_of_unit_length(share, vectors):
    made, _ = fitted(coreset=share)
    assert made.config.n_vectors == vectors
    stored = made.bank.vectors + made.bank.centre
    torch.testing.assert_close(stored.norm(dim=1), torch.ones(vectors))


def test_a_fold_lacks_its_own_pictures():
    options = AnomalyDinoOptions(backbone=Levels(), layers=("fine",))
    data = FitData(list(noise(5).split(2)), size=SIZE)
    first, _, whole = AnomalyDino.fit_folds(data, options, [[0, 4], [1, 2, 3]])
    expected = AnomalyDino.fit(data.part({1, 2, 3}), options)
    test = noise(2, seed=2)
    with torch.no_grad():
        torch.testing.assert_close(first(test)[0], expected(test)[0])
        fitted_to_all = AnomalyDino.fit(data, options)
        assert torch.equal(whole(test)[0], fitted_to_all(test)[0])


def test_within_a_region_only_its_patches_count():
    inside = torch.zeros(SIZE, dtype=torch.bool)
    inside[:, :20] = True
    made, images = fitted(inside=inside)
    assert made.config.n_vectors == 5 * 40
    changed = images + 0
    changed[..., 20:] += 1
    with torch.no_grad():
        before, after = made(images + 0.3), made(changed + 0.3)
    torch.testing.assert_close(before.score, after.score)
    assert (before.score > 1e-4).all()
    assert not after.anomaly_map[..., 20:].any()


def test_refit_replaces_each_vector_by_its_patch():
    pipeline, train = fitted()
    state = copy.deepcopy(pipeline.state_dict())
    other = copy.deepcopy(pipeline.extractor)
    with torch.no_grad():
        for weight in other.parameters():
            weight.add_(0.1)
    data = FitData([train], size=SIZE)
    twin = pipeline.refit(data, {"extractor": other})
    with torch.no_grad():
        assert (
            twin(train).score.max() < 1e-9 < pipeline(train + 0.1).score.min()
        )
    assert not torch.equal(twin.bank.centre, pipeline.bank.centre)
    for name, tensor in pipeline.state_dict().items():
        assert torch.equal(tensor, state[name]), name


def test_an_int8_search_gives_the_same_distances_and_their_proof():
    pipeline, _ = fitted()
    searched = pipeline.with_int8_search(candidates=4)
    test = noise(2, seed=2)
    with torch.no_grad():
        wanted, found = pipeline.stages(test), searched.stages(test)
    excess = found["search/excess"]
    true = wanted["distances"]
    assert (excess >= 0).all()
    assert (found["distances"] - excess <= true + 1e-6).all()
    proven = found["search/proven"] == 1
    torch.testing.assert_close(found["distances"][proven], true[proven])
    assert proven.any()


def test_features_are_those_behind_the_final_norm():
    """timm's own tokens of the last block, of a network for another size of images."""
    torch.manual_seed(1)
    extractor = FeatureExtractor(
        "test_vit3", "blocks.8", False, size=(64, 48), final_norm=True
    )
    with torch.no_grad():
        for parameter in extractor.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    whole = timm.create_model("test_vit3", img_size=(64, 48)).eval()
    prefix = "feature_extractor.model."
    state = {
        name.removeprefix(prefix): tensor
        for name, tensor in extractor.state_dict().items()
    }
    missing = whole.load_state_dict(state, strict=False).missing_keys
    assert all(name.startswith(("head", "attn_pool")) for name in missing)
    images = noise(2, size=(64, 48))
    with torch.no_grad():
        tokens = whole.forward_features(images)[:, whole.num_prefix_tokens :]
        (found,) = extractor(images).values()
    expected = tokens.transpose(1, 2).reshape(2, 96, 4, 3)
    torch.testing.assert_close(found, expected)


def test_paper_defaults():
    assert AnomalyDinoOptions().coreset == 1
    assert AnomalyDino.default_backbone == "vit_small_patch14_dinov2"
    assert AnomalyDino._default_layers("vit_small_patch14_dinov2") == [
        "blocks.11"
    ]


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"backbone": "resnet18", "layers": None, "weights": "random"}, ModelError, "expected one stride in all layers"),
        ({**TINY, "layers": None, "size": (40, 64)}, ModelError, "expected 32x64 or 48x64"),
        ({"layers": ("fine", "coarse")}, InputError, "expected one: give --layers coarse"),
        ({"coreset": 0.0}, InputError, "got --coreset 0.0; expected"),
        ({"masking": True}, InputError, "got the option masking"),
    ],
)  # fmt: skip
def test_what_cannot_be_fitted_is_refused(options, error, match):
    with pytest.raises(error, match=match):
        fitted(**options)


@pytest.fixture(scope="module")
def model(pictures):
    options = FitOptions(
        Geometry((64, 64)),
        held_back=pictures / "held_back",
        detector=TINY | {"coreset": 0.5},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return fit("anomaly_dino", pictures / "train", options)


def test_the_model_file_gives_the_same(model, tmp_path):
    save(model, tmp_path / "m.safetensors")
    loaded = load(tmp_path / "m.safetensors").pipeline
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        pairs = zip(loaded(images), model.pipeline(images), strict=True)
        assert all(torch.equal(found, wanted) for found, wanted in pairs)


@pytest.mark.slow
def test_the_traced_program_gives_the_same(model):
    images = torch.rand(2, 3, 64, 64)
    program = torch.export.export(model.pipeline, (images,)).module()
    with torch.no_grad():
        expected = model.pipeline(images)
        torch.testing.assert_close(program(images).score, expected.score)


def test_smaller_images_are_whole_patches():
    """A patch of 14 pixels does not divide the usual step of 32."""
    with torch.device("meta"):
        config = AnomalyDinoConfig(
            backbone="vit_small_patch14_dinov2",
            layers=("blocks.11",),
            size=(252, 280),
            mean=(0.5,) * 3,
            std=(0.5,) * 3,
            n_vectors=4,
        )
        networks = AnomalyDino.build_networks(config)
        pipeline = AnomalyDino(config, **networks)
    found = pipeline.suggestions(Geometry((252, 280)), fitted=1)
    sizes = {each.config.size for each in found}
    assert sizes == {(252, 280), (196, 210)}
