"""Detectors on feature maps: their options, the scaling of images, layers, and cheaper detectors."""

import pytest
import torch

from anomedge.errors import InputError
from anomedge.pipelines import FitData
from anomedge.pipelines.features import FeatureOptions, extracted
from anomedge.pipelines.padim import Padim
from anomedge.pipelines.patchcore import Patchcore
from anomedge.resample import Geometry, Tiling
from tests.pipelines.levels import LAYERS, SIZE, Levels
from tests.pipelines.levels import fitted as fit_levels

BACKBONE = {"backbone": "test_efficientnet", "weights": "random"}


def fitted(kind, **options):
    torch.manual_seed(0)
    batches = [torch.rand(4, 3, 32, 32)]
    own = kind.options_class.checked(**BACKBONE, **options)
    return kind.fit(FitData(batches, size=(32, 32)), own)


@pytest.mark.parametrize("kind", [Padim, Patchcore])
def test_they_are_stored_and_applied(kind):
    plain = fitted(kind)
    scaled = fitted(kind, mean="0.1,0.2,0.3", std=(0.5, 0.25, 1))
    assert scaled.config.mean == (0.1, 0.2, 0.3)
    assert scaled.config.std == (0.5, 0.25, 1.0)
    assert plain.config.mean != scaled.config.mean
    images = torch.rand(1, 3, 32, 32)
    mean = torch.tensor((0.1, 0.2, 0.3)).reshape(1, 3, 1, 1)
    std = torch.tensor((0.5, 0.25, 1.0)).reshape(1, 3, 1, 1)
    expected = scaled.extractor((images - mean) / std)
    for name, found in scaled.features(images).items():
        assert torch.equal(found, expected[name])


def test_one_of_them_leaves_the_other():
    plain, scaled = fitted(Padim), fitted(Padim, std="0.5,0.5,0.5")
    assert scaled.config.mean == plain.config.mean
    assert scaled.config.std == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("mean", "0.5,0.5", "three numbers"),
        ("mean", (0.5,), "three numbers"),
        ("mean", "123.7,116.3,103.5", "less than or equal to 1"),
        ("mean", "a,b,c", "number"),
        ("mean", "nan,0,0", "got --mean nan; expected each less than"),
        ("std", "0,0.2,0.2", "greater than"),
        ("std", "58.4,57.1,57.4", "less than or equal to 1"),
        ("std", "", "three numbers"),
    ],
)
def test_other_values_are_refused(name, value, match):
    with pytest.raises(InputError, match=match):
        FeatureOptions.checked(**{name: value})


@pytest.mark.parametrize(
    ("given", "layers"),
    [("a, b ,c", ("a", "b", "c")), (["a"], ("a",)), ("", None), (None, None)],
)
def test_layers_are_names_with_commas(given, layers):
    assert FeatureOptions.checked(layers=given).layers == layers


def test_an_empty_list_of_layers_is_refused():
    with pytest.raises(InputError, match="got --layers ''; expected"):
        FeatureOptions.checked(layers=[])


@pytest.mark.parametrize(
    ("options", "name", "licence"),
    [
        ({}, "imagenet", "as their publisher says"),
        ({"weights": "random"}, "random", "none: random numbers"),
        ({"weights": "/home/me/own.pth"}, "own.pth", "as their publisher says"),
        (
            {"backbone": torch.nn.Identity()},
            "module",
            "as their publisher says",
        ),
    ],
)
def test_weights_are_named_without_their_folder(options, name, licence):
    own = FeatureOptions.checked(**options)
    assert (own.weights_name(), own.weights_licence()) == (name, licence)


def test_packaged_weights_have_their_own_licence():
    own = FeatureOptions(weights="efficientnet-lite0")
    assert own.weights_name() == "efficientnet-lite0"
    assert own.weights_licence() != "as their publisher says"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backbone": Levels()}, "without layers; expected their paths"),
        ({"backbone": Levels(), "layers": LAYERS, "weights": "random"}, "a module as backbone and weights"),
        ({"backbone": Levels(), "layers": LAYERS[::-1]}, "expected the finest first"),
    ],
)  # fmt: skip
def test_a_module_is_given_with_layers_in_order_and_no_weights(
    options, message
):
    data = FitData([], size=SIZE)
    with pytest.raises(InputError, match=message):
        Padim.build_extractor(data, FeatureOptions(**options))


def test_random_weights_follow_from_the_seed_and_leave_torchs_own():
    state = torch.random.get_rng_state()
    options = FeatureOptions(**BACKBONE)
    first, second, other = (
        Padim.build_extractor(FitData([], size=(32, 32), seed=seed), options)
        for seed in (1, 1, 2)
    )
    assert torch.equal(torch.random.get_rng_state(), state)
    tensors = [next(iter(x.parameters())) for x in (first, second, other)]
    assert torch.equal(tensors[0], tensors[1])
    assert not torch.equal(tensors[0], tensors[2])


def test_smaller_images_are_suggested_in_multiples_of_32():
    made, _ = fit_levels(Padim)
    geometry = Geometry((256, 160), (224, 128))
    found = list(made.suggestions(geometry, 5))
    assert found[0].text == "Without coarse (fit with --layers fine)"
    assert found[0].config.layers == ("fine",)
    smaller = [each for each in found if each.geometry]
    assert [each.part for each in smaller] == ["backbone", "distances"]
    assert smaller[0].geometry.size == (192, 128)
    assert smaller[0].geometry.crop == (160, 96)
    assert smaller[0].config.size == (160, 96)
    assert smaller[0].text == (
        "Images of 192x128 (fit with --size 192x128 --crop 160x96)"
    )


def test_tiles_of_another_size_are_not_suggested():
    made, _ = fit_levels(Padim)
    tiled = Geometry((64, 64), tiling=Tiling((32, 40), 8))
    parts = [each for each in made.suggestions(tiled, 5) if each.geometry]
    assert parts == []


def test_a_detector_is_described_by_its_backbone_and_layers():
    made, _ = fit_levels(Padim)
    assert made.describe() == "padim on Levels, layers fine, coarse"


def test_features_of_data_are_those_of_the_detector():
    made, images = fit_levels(Padim)
    data = FitData([images[:2], images[2:]], size=SIZE)
    for batch, found in zip(data, extracted(made.extractor, data), strict=True):
        expected = made.features(batch)
        assert list(found) == list(expected)
        for name, features in found.items():
            assert torch.equal(features, expected[name])
            assert not features.requires_grad


def test_data_without_images_are_refused():
    made, _ = fit_levels(Padim)
    with pytest.raises(InputError, match="got no picture"):
        list(extracted(made.extractor, FitData([], size=SIZE)))
