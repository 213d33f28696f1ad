"""Layouts of feature maps, told apart by the sizes of outputs."""

import pytest
import torch
from torch import nn

from anomedge.components import FeatureExtractor
from anomedge.components.map_layouts import layout_of
from anomedge.errors import ModelError
from tests.components.networks import Shaped


def tokens(x, before=0, after=0):
    rows = x.flatten(2).transpose(1, 2)
    zeros = rows[:, :1] * 0
    return torch.cat([zeros] * before + [rows] + [zeros] * after, dim=1)


LAYOUTS = {
    "NCHW": lambda x: x,
    "NHWC": lambda x: x.permute(0, 2, 3, 1),
    "tokens": tokens,
    "prefixed": lambda x: tokens(x, before=5),
}


@pytest.mark.parametrize("size", [None, (48, 96), (24, 24)])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_becomes_the_same_map(layout, size):
    """At 24x24 a map has as many rows and columns as channels: sizes alone would not tell."""
    module = Shaped(LAYOUTS[layout])
    extractor = FeatureExtractor(module, ["made"], size=size)
    assert (extractor.channels, extractor.strides) == ([6], [4])
    for x in (torch.rand(2, 3, 48, 96), torch.rand(2, 3, 24, 24)):
        assert torch.equal(extractor(x)["made"], module.conv(x))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda x: x.transpose(2, 3), "neither maps nor tokens"),
        (lambda x: x.flatten(2), "neither maps nor tokens"),
        (lambda x: x.mean(dim=(2, 3)), "neither maps nor tokens"),
        (lambda x: x.transpose(0, 1), "first axis is not the batch"),
        (
            lambda x: tokens(x, after=1),
            "expected row by row after 1 prefix tokens",
        ),
        (lambda x: tokens(x.transpose(2, 3)), "expected row by row"),
        (lambda x: (x, x), "gives a tuple; expected one tensor"),
        (
            lambda x: nn.functional.adaptive_avg_pool2d(x, 6),
            "several layouts fit",
        ),
    ],
)
def test_layouts_that_would_be_a_guess_are_refused(change, match):
    with pytest.raises(ModelError, match=match):
        FeatureExtractor(Shaped(change), ["made"])


def test_a_fixed_size_is_read_by_arithmetic():
    assert layout_of("a", [(2, 96, 56, 56)], [(224, 224)]).kind == "NCHW"
    assert layout_of("a", [(2, 56, 56, 96)], [(224, 224)]).kind == "NHWC"
    assert layout_of("a", [(2, 50, 768)], [(224, 224)]).prefix == 1
    with pytest.raises(
        ModelError,
        match=r"\(2, 14, 14, 14\) for two images of 224x224: several layouts fit",
    ):
        layout_of("a", [(2, 14, 14, 14)], [(224, 224)])
