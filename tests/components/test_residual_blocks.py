"""Residual blocks: sides, shortcuts, rectifiers and initial weights."""

import pytest
import torch
from torch import nn

from anomedge.components.residual_blocks import (
    BasicBlock,
    BlockKind,
    BottleneckBlock,
    convolution,
    he_initialised,
    residual_layer,
)

SIDES = {"halve": (3, 4), "keep": (6, 8), "double": (12, 16)}


@pytest.mark.parametrize("step", SIDES)
@pytest.mark.parametrize("expansion", [1, 4])
def test_the_first_block_of_a_layer_changes_sides_and_channels(expansion, step):
    kind = BlockKind(expansion, width=128)
    layer = residual_layer(kind, 5, 8, step, count=3).eval()
    with torch.no_grad():
        first, *others = layer
        x = first(torch.rand(2, 5, 6, 8))
        assert x.shape == (2, 8, *SIDES[step])
        for block in others:
            assert isinstance(block.shortcut, nn.Identity)
            x = block(x)
    assert x.shape == (2, 8, *SIDES[step])


def test_a_block_that_keeps_its_shape_adds_its_input():
    block = BasicBlock(3, 3).eval()
    nn.init.zeros_(block.bn2.weight)
    x = torch.randn(1, 3, 4, 4)
    with torch.no_grad():
        assert torch.equal(block(x), x.clamp_min(0))
        block.rectified = False
        assert torch.equal(block(x), x)


def test_a_change_of_channels_alone_is_projected():
    with torch.no_grad():
        block = BottleneckBlock(3, 4, hidden=2).eval()
        assert block(torch.rand(1, 3, 4, 4)).shape == (1, 4, 4, 4)
    assert block.shortcut[0].kernel_size == (1, 1)


def test_only_the_end_of_a_layer_may_be_negative():
    layer = residual_layer(BlockKind(rectified=False), 3, 3, "keep", count=3)
    assert [block.rectified for block in layer] == [True, True, False]


@pytest.mark.parametrize(
    ("kind", "hidden"),
    [
        (BlockKind(4), 16),
        (BlockKind(4, width=128), 32),
        (BlockKind(4, width=4, groups=32), 32),
    ],
)
def test_the_width_of_a_bottleneck_is_that_of_its_resnet(kind, hidden):
    (block,) = residual_layer(kind, 64, 64, "double", count=1)
    assert block.conv2.weight.shape[0] == hidden
    assert block.conv2.groups == block.shortcut[0].groups == kind.groups


def test_a_transposed_convolution_copies_a_pixel_to_a_square():
    double = convolution(1, 1, "double")
    nn.init.ones_(double.weight)
    x = torch.rand(1, 1, 2, 3)
    expected = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    assert torch.equal(double(x), expected)


def test_initial_weights_keep_the_variance_backwards():
    torch.manual_seed(0)
    network = nn.Sequential(convolution(8, 64), convolution(8, 64, "double"))
    before = network[1].weight.clone()
    he_initialised(network)
    assert network[0].weight.std().item() == pytest.approx(
        (2 / (64 * 9)) ** 0.5, rel=0.05
    )
    assert torch.equal(network[1].weight, before)
