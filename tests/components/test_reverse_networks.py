"""Bottleneck and decoder of an encoder: its own blocks for a ResNet, basic ones for others."""

import pytest
import timm
import torch

from anomedge.components.residual_blocks import BasicBlock, BottleneckBlock
from anomedge.components.reverse_networks import RESNETS, reverse_networks


@pytest.mark.parametrize(
    ("name", "block", "blocks"),
    [
        ("resnet18", BasicBlock, 2),
        ("resnet34.a1_in1k", BasicBlock, 2),
        ("wide_resnet50_2", BottleneckBlock, 3),
        ("tf_efficientnet_lite0", BasicBlock, 2),
    ],
)
def test_blocks_are_those_of_the_resnet(name, block, blocks):
    with torch.device("meta"):
        bottleneck, decoder = reverse_networks(name, [64, 128, 256])
    kinds = {type(each) for layer in decoder.layers for each in layer}
    assert kinds == {type(each) for each in bottleneck.embed} == {block}
    assert len(bottleneck.embed) == blocks
    is_resnet = "resnet" in name
    assert [layer[-1].rectified for layer in decoder.layers] == [is_resnet] * 3
    assert bottleneck.embed[-1].rectified


@pytest.mark.parametrize("name", ["resnet18", "wide_resnet50_2"])
def test_the_decoder_has_the_width_of_its_resnet(name):
    """The block of layer2 that keeps the shape has equal 3x3 weights in both."""
    with torch.device("meta"):
        encoder = timm.create_model(name)
        _, decoder = reverse_networks(
            name, [64, 128, 256] if name == "resnet18" else [256, 512, 1024]
        )
    own, theirs = decoder.layers[1][1], encoder.layer2[1]
    assert own.conv2.weight.shape == theirs.conv2.weight.shape


def test_every_resnet_of_the_table_is_known_to_timm():
    assert set(RESNETS) <= set(timm.list_models("*res*"))


def test_any_number_of_layers_has_a_decoder():
    with torch.device("meta"):
        for count in (1, 2, 5):
            _, decoder = reverse_networks("resnet34", [8] * count)
            assert len(decoder.layers) == count
