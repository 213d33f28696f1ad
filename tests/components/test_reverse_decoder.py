"""The decoder: maps of the encoder's sizes, each computed from the coarser one."""

import pytest
import torch

from anomedge.components.residual_blocks import BlockKind
from anomedge.components.reverse_decoder import ReverseDecoder

CHANNELS = [4, 8, 12]


@pytest.mark.parametrize("expansion", [1, 4])
def test_each_map_has_twice_the_sides_of_the_next(expansion):
    decoder = ReverseDecoder(CHANNELS, BlockKind(expansion), [1, 2, 3]).eval()
    assert [len(layer) for layer in decoder.layers] == [1, 2, 3]
    found = decoder(torch.rand(2, 24, 2, 3))
    assert [tuple(x.shape) for x in found] == [
        (2, 4, 16, 24),
        (2, 8, 8, 12),
        (2, 12, 4, 6),
    ]


def test_a_map_is_decoded_from_the_coarser_one():
    decoder = ReverseDecoder(CHANNELS, BlockKind(), [1, 1, 1]).eval()
    fine, middle, coarse = decoder(torch.rand(1, 24, 2, 2))
    _, second, third = decoder.layers
    torch.testing.assert_close(second(coarse), middle)
    torch.testing.assert_close(third(middle), fine)


def test_maps_may_be_negative_where_the_encoders_are():
    x = torch.randn(1, 24, 2, 2)
    for rectified in (True, False):
        torch.manual_seed(0)
        kind = BlockKind(rectified=rectified)
        found = ReverseDecoder(CHANNELS, kind, [1, 1, 1]).eval()(x)
        assert all(bool((y < 0).any()) is not rectified for y in found)
