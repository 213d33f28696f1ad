"""Batch normalisation folded into convolutions, in float64."""

import math

import pytest
import torch
from torch import nn

from anomedge.pipelines.folded_networks import folded_networks
from anomedge.pipelines.folding import fold_batch_norms
from tests.export.precision.backbones import (
    BACKBONES,
    Whole,
    extractor_of,
    on,
    seeded,
)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["awkward", *BACKBONES])
@pytest.mark.parametrize("batch", [None, 3])
def test_folding_leaves_the_values(models, name, batch):
    model = on(
        models["padim"], Whole() if name == "awkward" else extractor_of(name)
    )
    graph = folded_networks(model.pipeline, model.geometry, batch)["extractor"]
    images = torch.randn(
        batch or 1,
        3,
        *model.geometry.image,
        generator=torch.Generator().manual_seed(1),
    )
    with torch.no_grad():
        expected, produced = model.pipeline.extractor(images), graph(images)
    assert list(produced) == list(expected)
    for layer, x in expected.items():
        torch.testing.assert_close(
            produced[layer], x, rtol=1e-4, atol=1e-4 * float(x.abs().max())
        )
    assert not [n for n in graph.graph.nodes if "batch_norm" in str(n.target)]


def traced(module, channels=3):
    """The module in evaluation mode, as torch traces it."""
    x = torch.rand(2, channels, 6, 8)
    program = torch.export.export(module.eval(), (x,), strict=False)
    return program.run_decompositions({}).module(), x


def folded(module, channels=3):
    """The folded network, the largest difference to the module, and the operators that are left."""
    seeded(module)
    graph, x = traced(module, channels)
    with torch.no_grad():
        expected = module(x)
        found = fold_batch_norms(graph)
        error = float((found(x) - expected).abs().max())
    calls = [n for n in found.graph.nodes if n.op == "call_function"]
    operators = [str(node.target).split(".")[1] for node in calls]
    return found, error, operators


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_a_norm_behind_a_convolution_is_part_of_it(bias, affine):
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=bias), nn.BatchNorm2d(4, affine=affine)
    )
    found, error, operators = folded(module)
    assert operators == ["conv2d"]
    assert error < 1e-5
    names = dict(found.named_buffers())
    assert set(names) == {"0.weight_folded", "0.weight_bias_folded"}
    assert {x.dtype for x in names.values()} == {torch.float32}
    assert not dict(found.named_parameters())


@pytest.mark.parametrize("groups", [1, 2])
def test_a_norm_behind_a_transposed_convolution_is_part_of_it(groups):
    module = nn.Sequential(
        nn.ConvTranspose2d(4, 6, 2, stride=2, groups=groups, bias=False),
        nn.BatchNorm2d(6),
    )
    _, error, operators = folded(module, channels=4)
    apart = [] if groups == 1 else ["mul", "add"]
    assert operators == ["conv_transpose2d", *apart]
    assert error < 1e-5


class Scaled(nn.Module):
    """A product with the softplus of a parameter, and a sum with a buffer that is used as it is."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.full((1, 3, 1, 1), 9.9865))
        self.register_buffer("shift", torch.ones(1, 3, 1, 1))

    def forward(self, x):
        return x * (0.1 * nn.functional.softplus(self.scale, 0.5)) + self.shift


def test_what_follows_from_constants_is_one():
    found, error, operators = folded(Scaled())
    assert operators == ["mul", "add"]
    assert error < 1e-6
    values = dict(found.named_buffers())
    assert set(values) == {"scale_folded_folded", "shift"}
    exact = 0.2 * math.log1p(math.exp(9.9865 / 2))
    result = values["scale_folded_folded"]
    torch.testing.assert_close(result.max().item(), exact, rtol=2e-7, atol=0)


def test_a_norm_alone_is_a_product_and_a_sum():
    _, error, operators = folded(nn.Sequential(nn.BatchNorm2d(3)))
    assert operators == ["mul", "add"]
    assert error < 1e-6


class Shared(nn.Module):
    """A convolution that a norm and a sum read."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x):
        x = self.conv(x)
        return x + self.norm(x)


def test_a_convolution_that_others_read_keeps_its_weights():
    found, error, operators = folded(Shared())
    assert operators == ["conv2d", "mul", "add", "add"]
    assert error < 1e-5
    assert "conv.weight" in dict(found.named_parameters())


class Twice(nn.Module):
    """One convolution before two norms of its own call."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.first, self.second = nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, x):
        return self.first(self.conv(x)) - self.second(self.conv(x))


def test_a_kernel_that_is_folded_twice_has_two_copies():
    found, error, operators = folded(Twice())
    assert operators == ["conv2d", "conv2d", "sub"]
    assert error < 1e-5
    assert {"conv.weight_folded", "conv.weight_folded2"} <= dict(
        found.named_buffers()
    ).keys()


def test_weights_are_folded_in_float64():
    """A variance of 1e-12 beside an epsilon of 1e-12 has float32's precision only after the root."""
    module = nn.Sequential(
        nn.Conv2d(1, 1, 1, bias=False), nn.BatchNorm2d(1, eps=1e-12)
    )
    module[1].running_var.fill_(1e-12)
    module.eval().requires_grad_(False)
    found = fold_batch_norms(traced(module, channels=1)[0])
    exact = (
        module[0].weight.double()
        / (module[1].running_var.double() + 1e-12).sqrt()
    )
    assert torch.equal(found.get_buffer("0.weight_folded"), exact.float())
