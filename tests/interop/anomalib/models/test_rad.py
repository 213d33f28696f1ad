"""Scores of patches against loops over images, patches and neighbours."""

import types

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn import functional as F

from anomedge.errors import ModelError
from anomedge.interop.anomalib.models.rad import (
    Rad,
    SameGrid,
    _scores,
    nearby,
    retrieved,
)
from tests.interop.anomalib.models.package import built

GRID, CHANNELS, IMAGES, BATCH = (3, 4), 5, 6, 2
PATCHES = GRID[0] * GRID[1]


def drawn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, generator=generator), dim=-1)


def highest(query, bank, image, known, radius):
    """Highest similarities of one image's patches."""
    best = torch.full(GRID, -1.0)
    places = [(y, x) for y in range(GRID[0]) for x in range(GRID[1])]
    for place, (y, x) in enumerate(places):
        for other, (v, u) in enumerate(places):
            if max(abs(v - y), abs(u - x)) > radius:
                continue
            for number in range(IMAGES):
                if known is None or known[image, number]:
                    found = query[image, place] @ bank[other, number]
                    best[y, x] = torch.maximum(best[y, x], found)
    return best.flatten()


@pytest.mark.parametrize("some", [True, False])
@pytest.mark.parametrize("radius", [0, 1, 2])
def test_similarities_are_those_of_the_neighbourhood(radius, some):
    query = drawn(BATCH, PATCHES, CHANNELS)
    bank = drawn(PATCHES, IMAGES, CHANNELS, seed=1)
    images = torch.tensor([[0, 3], [5, 1]])
    known = retrieved(images, IMAGES) if some else None
    found = nearby(query, bank, known, GRID, radius)
    expected = [
        highest(query, bank, image, known, radius) for image in range(BATCH)
    ]
    torch.testing.assert_close(found, torch.stack(expected))


def test_retrieved_images_are_marked():
    found = retrieved(torch.tensor([[2, 0], [1, 2]]), 3)
    assert found.tolist() == [[True, False, True], [False, True, True]]
    assert retrieved(torch.tensor([[2, 0, 1]]), 3) is None


@pytest.mark.parametrize("positional", [True, False])
def test_scores_of_layers_are_weighted(positional):
    layers = [drawn(BATCH, PATCHES, CHANNELS, seed=n) * 3 for n in (2, 3)]
    banks = drawn(2, PATCHES, IMAGES, CHANNELS, seed=4)
    model = types.SimpleNamespace(
        patch_banks=banks,
        use_positional_bank=positional,
        pos_radius=1,
        _layer_weights=[0.25, 0.75],
    )
    images = torch.tensor([[0, 3], [5, 1]])
    found = _scores(model, layers, images, GRID)
    known = retrieved(images, IMAGES)
    expected = torch.zeros(BATCH, PATCHES)
    for weight, layer, bank in zip((0.25, 0.75), layers, banks, strict=True):
        for image in range(BATCH):
            query = F.normalize(layer, dim=-1)
            radius = 1 if positional else max(GRID)
            best = highest(query, bank, image, known, radius)
            expected[image] += weight * (1 - best)
    torch.testing.assert_close(found, expected)


class Banks(nn.Module):
    patch_size = 16

    def __init__(self):
        super().__init__()
        self.register_buffer("bank_grid", torch.zeros(2, dtype=torch.long))
        self.register_load_state_dict_post_hook(SameGrid((3, 4)))


def test_banks_of_images_of_another_size_are_refused():
    banks = nn.Sequential(Banks())
    banks.load_state_dict({"0.bank_grid": torch.tensor([3, 4])})
    with pytest.raises(ModelError, match=r"about 64x48.*give --size 64x48"):
        banks.load_state_dict({"0.bank_grid": torch.tensor([4, 3])})


SOURCE = """
class RadModel(Recorded):
    patch_size = 16
"""


def test_layers_and_weights_are_lists(monkeypatch):
    model = built(
        monkeypatch, Rad, SOURCE, layers=(3, 6), layer_weights=(0.5, 1)
    )
    assert model.given["layers"] == [3, 6]
    assert model.given["layer_weights"] == [0.5, 1]
    assert model.given["pre_trained"] is False


def test_the_models_own_layers_are_none(monkeypatch):
    model = built(monkeypatch, Rad, SOURCE)
    assert model.given["layers"] is model.given["layer_weights"] is None
    assert model.given["k_image"] == 150


@pytest.mark.parametrize(
    "wrong", [{"k_image": 0}, {"pos_radius": 17}, {"max_ratio": 1.5}, {"layer_weights": [-1]}]
)  # fmt: skip
def test_arguments_out_of_range_are_refused(wrong):
    with pytest.raises(ValidationError):
        Rad.arguments_class(**wrong)
