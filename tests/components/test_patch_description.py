"""Patch description networks: layers, grids and the field of a patch."""

import pytest
import torch

from anomedge.components.patch_description import (
    PatchDescriptionNetwork,
    description_grid,
)
from anomedge.errors import InputError


@pytest.mark.parametrize("padding", [False, True])
@pytest.mark.parametrize("model_size", ["small", "medium"])
def test_grids_are_those_of_the_outputs(model_size, padding):
    with torch.device("meta"):
        network = PatchDescriptionNetwork(2, model_size, padding=padding)
        for side in range(64, 72):
            output = network(torch.empty(1, 3, side, side + 129))
            grid = description_grid((side, side + 129), padding=padding)
            assert tuple(output.shape[2:]) == grid


def test_networks_have_the_parameters_of_the_paper():
    with torch.device("meta"):
        small, medium = (
            PatchDescriptionNetwork(384, size) for size in ("small", "medium")
        )
    counts = [
        sum(each.numel() for each in network.parameters())
        for network in (small, medium)
    ]
    small = 48 * 128 + 2048 * 256 + 2304 * 256 + 4096 * 384
    medium = 48 * 256 + 4096 * 512 + 512 * 512 + 4608 * 512 + 8192 * 384
    biases = [128 + 256 + 256 + 384, 256 + 3 * 512 + 2 * 384]
    assert counts == [small + biases[0], medium + 384 * 384 + biases[1]]


def test_a_patch_has_33_pixels():
    network = PatchDescriptionNetwork(1)
    images = torch.rand(1, 3, 64, 64, requires_grad=True)
    network(images)[0, 0, 3, 4].backward()
    rows, columns = images.grad[0].abs().amax(dim=0).nonzero().aminmax(dim=0)
    assert rows.tolist() == [12, 16]
    assert columns.tolist() == [44, 48]


def test_no_channel_is_refused():
    with pytest.raises(InputError, match="channels=0"):
        PatchDescriptionNetwork(0)
