"""PaDiM: its drawn channels, its grid, and the detectors that it suggests."""

import numpy as np
import pytest
import torch

from anomedge.errors import InputError
from anomedge.pipelines.padim import Padim, _by_layer, _nearest_patches
from anomedge.resample import Geometry
from tests.pipelines.levels import SIZE, fitted


def test_the_drawn_channels_are_ascending_and_as_many_as_asked():
    made, _ = fitted(Padim, features=7)
    channels = made.config.channels
    assert len(channels) == 7
    assert list(channels) == sorted(set(channels))
    assert channels[-1] < 10
    assert fitted(Padim, features=7)[0].config.channels == channels


def test_without_a_number_all_of_few_channels_are_drawn():
    assert fitted(Padim)[0].config.channels == tuple(range(10))
    with pytest.raises(InputError, match="got 11 features; expected 1 to 10"):
        fitted(Padim, features=11)


def test_the_embedding_repeats_coarse_patches_on_the_fine_grid():
    made, images = fitted(Padim)
    features = made.features(images)
    rows = made.embedding(made.drawn(features))
    assert made.grid == (8, 10)
    assert rows.shape == (5, 10, 80)
    coarse = features["coarse"].repeat_interleave(2, 2).repeat_interleave(2, 3)
    expected = torch.cat([features["fine"], coarse], dim=1).flatten(2)
    assert torch.equal(rows, expected)


def test_a_layer_without_drawn_channels_is_left_out():
    made, images = fitted(Padim)
    config = made.config.model_copy(update={"channels": (0, 2)})
    narrow = Padim(config, made.extractor).eval()
    drawn = narrow.drawn(made.features(images))
    assert list(drawn) == ["fine"]
    assert narrow.embedding(drawn).shape == (5, 2, 80)


def test_the_score_is_the_largest_value_of_the_map():
    made, images = fitted(Padim)
    with torch.no_grad():
        found = made(images)
    assert found.anomaly_map.shape == (5, 1, *SIZE)
    assert torch.equal(found.score, found.anomaly_map.amax(dim=(1, 2, 3)))


def test_nearest_patches_are_numbered_row_by_row():
    assert _nearest_patches((2, 2), (2, 4)).tolist() == [
        0, 0, 1, 1,
        2, 2, 3, 3,
    ]  # fmt: skip
    assert _nearest_patches((3, 1), (3, 1)).tolist() == [0, 1, 2]


def test_channels_are_numbered_within_their_layer():
    layers = _by_layer((0, 3, 4, 9), [4, 6])
    assert [each.tolist() for each in layers] == [[0, 3], [0, 5]]
    assert [each.tolist() for each in _by_layer((5,), [4, 6])] == [[], [1]]


@pytest.mark.parametrize("channels", [(0, 10), (-1, 2), (3, 3), (4, 2)])
def test_channels_out_of_order_or_range_are_refused(channels):
    with pytest.raises(InputError, match="ascending numbers below 10"):
        _by_layer(channels, [4, 6])


def test_fewer_layers_keep_as_many_channels_as_they_have():
    made, _ = fitted(Padim)
    smaller = made.config_with_layers(1)
    assert smaller.layers == ("fine",)
    assert smaller.channels == (0, 1, 2, 3)
    config = made.config.model_copy(update={"channels": (0, 3)})
    assert Padim(config, made.extractor).config_with_layers(1).channels == (
        0,
        3,
    )


def test_half_of_the_channels_are_suggested():
    made, _ = fitted(Padim)
    found = list(made.suggestions(Geometry(SIZE), 5))
    assert [each.part for each in found] == [
        "backbone",
        "backbone",
        "distances",
        "distances",
    ]
    half = found[-1]
    assert half.text == "Half of the channels (fit with --features 5)"
    assert np.array_equal(half.config.channels, range(0, 10, 2))
