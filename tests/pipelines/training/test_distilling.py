"""Distillation: the target's formula, and a network that learns it."""

import pytest
import torch
import torch.nn.functional as F

from anomedge.components import FeatureExtractor
from anomedge.errors import ModelError
from anomedge.pipelines.training import distilling
from anomedge.pipelines.training.distilling import DistilOptions, distilled

LAYERS = ("blocks.2", "blocks.3")
SIZE = (32, 40)


def options_of(**more):
    own = {"backbone": "test_efficientnet", "weights": "random"}
    quick = {"size": SIZE, "batch": 2, "steps": 2, "layers": ",".join(LAYERS)}
    return DistilOptions.checked(**own | quick | more)


class Drawn:
    pictures = (0, 1, 2)

    def drawn(self, count):
        return torch.rand(count, 3, 64, 80)


def test_the_target_is_the_smoothed_features_on_the_grid_of_the_network():
    torch.manual_seed(0)
    extractor = FeatureExtractor(
        "test_efficientnet", LAYERS, pre_trained=False, size=(64, 80)
    )
    made = distilling._Distillation(Drawn(), extractor, options_of())
    images = torch.rand(2, 3, 64, 80)
    mean, std = (
        torch.tensor(x).reshape(3, 1, 1)
        for x in (extractor.mean, extractor.std)
    )
    maps = extractor((images - mean) / std).values()
    expected = [
        F.interpolate(F.avg_pool2d(x, 3, 1, 1), size=(8, 10), mode="bilinear")
        for x in maps
    ]
    found = made._features(images)
    torch.testing.assert_close(found, torch.cat(expected, dim=1))


def test_neighbouring_channels_are_averaged():
    features = torch.arange(24.0).reshape(1, 6, 2, 2)
    found = distilling._averaged(features, 3)
    pairs = features.unflatten(1, (3, 2)).mean(dim=2)
    assert torch.equal(found, pairs)


def test_equal_seeds_give_equal_networks(pictures):
    folder = pictures / "train"
    (one, _), (other, _) = (distilled(folder, options_of()) for _ in range(2))
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])


@pytest.mark.slow
def test_a_network_learns_what_its_pictures_show(pictures, monkeypatch):
    def colours(made, images):
        means = F.avg_pool2d(images, 8)
        return means.repeat(1, 100, 1, 1)[:, : made.network.channels]

    monkeypatch.setattr(distilling._Distillation, "_features", colours)
    losses = [
        distilled(pictures / "train", options_of(learning_rate=rate, steps=30))
        for rate in (1e-9, 1e-4)
    ]
    assert losses[1][1] < 0.95 * losses[0][1]


def test_features_that_do_not_vary_are_refused(pictures, monkeypatch):
    monkeypatch.setattr(
        distilling._Distillation,
        "_features",
        lambda self, images: torch.ones(2, 3, 8, 10),
    )
    with pytest.raises(ModelError, match="3 of 3 channels are equal"):
        distilled(pictures / "train", options_of())
