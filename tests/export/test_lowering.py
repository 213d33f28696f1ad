"""Resizes and `einsum` of traced modules become products and selections with torch's values."""

from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from anomedge.export.lowering import Lines, Resized, lowered

BATCH = {0: torch.export.Dim("batch", min=1, max=64)}
MODES = ("nearest", "nearest-exact", "bilinear", "bicubic", "area")
LINEAR = ("bilinear", "bicubic")
SIZES = ((20, 24), (7, 30), (5, 7), (10, 12))


class Resizes(nn.Module):
    def __init__(self, calls):
        super().__init__()
        self.calls = calls

    def forward(self, x):
        return tuple(call(x) for call in self.calls)


def of(mode, **options):
    return lambda x: F.interpolate(x, mode=mode, **options)


PLANES = [
    *(of(mode, size=size) for mode, size in product(MODES, SIZES)),
    *(of(m, size=s, align_corners=True) for m, s in product(LINEAR, SIZES)),
    *(of(m, size=s, antialias=True) for m, s in product(LINEAR, SIZES)),
    *(of(m, scale_factor=(1.7, 2.4)) for m in MODES),
    *(of(m, scale_factor=1.7, align_corners=True) for m in LINEAR),
    of("bilinear", scale_factor=1.7, recompute_scale_factor=True),
    lambda x: F.adaptive_avg_pool2d(x, (3, 5)),
    nn.Upsample(scale_factor=2),
]


def exported(module, x, strict=False):
    return torch.export.export(
        module, (x,), dynamic_shapes=(BATCH,), strict=strict
    )


def operators(program):
    return {
        str(node.target)
        for node in program.graph.nodes
        if node.op == "call_function"
    }


def lowered_of(module, x, strict=False):
    program = exported(module, x, strict)
    return lowered(program, lambda again: exported(again, x))


@pytest.mark.slow
@pytest.mark.parametrize("strict", [True, False])
def test_all_resizes_of_planes(strict):
    module, example = Resizes(PLANES), torch.zeros(2, 3, 10, 12)
    program = lowered_of(module, example, strict)
    assert operators(program) <= {
        "aten.matmul.default",
        "aten.index_select.default",
        "aten.adaptive_avg_pool2d.default",  # of equal windows
    }
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 3, 10, 12, generator=generator)
    for actual, expected in zip(program.module()(x), module(x), strict=True):
        torch.testing.assert_close(actual, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
def test_nearest_neighbours_are_selections_of_the_same_bits(mode):
    module, x = Resizes([of(mode, size=(17, 31))]), torch.rand(2, 1, 8, 6)
    x[0, 0, 0, 0] = float("inf")
    program = lowered_of(module, x)
    assert operators(program) == {"aten.index_select.default"}
    assert torch.equal(program.module()(x)[0], module(x)[0])


def test_sequences():
    module = Resizes(
        [
            of("linear", size=9),
            of("linear", scale_factor=2.5, align_corners=True),
            of("nearest", size=9),
            nn.AdaptiveAvgPool1d(3),
        ]
    )
    x = torch.rand(2, 3, 7)
    program = lowered_of(module, x)
    assert operators(program) == {
        "aten.matmul.default",
        "aten.index_select.default",
    }
    for actual, expected in zip(program.module()(x), module(x), strict=True):
        torch.testing.assert_close(actual, expected)


def test_equal_windows_stay_a_pool():
    module = Resizes([nn.AdaptiveAvgPool2d(1), nn.AdaptiveAvgPool2d((5, 6))])
    program = exported(module, torch.rand(2, 3, 10, 12))
    assert lowered(program, lambda _: None) is program


def test_einsum_becomes_a_product():
    module = Resizes([lambda x: torch.einsum("bchw,bdhw->bcd", x, x)])
    x = torch.rand(3, 2, 4, 5)
    program = lowered_of(module, x)
    assert "aten.bmm.default" in operators(program)
    assert "aten.einsum.default" not in operators(program)
    torch.testing.assert_close(program.module()(x)[0], module(x)[0])


def test_float16_is_resized_in_float32():
    matrix = torch.tensor([[0.3, 0.7], [0.1, 0.9], [1.0, 0.0]])
    resize = Resized(Lines(matrix, -1))
    x = torch.tensor([[[[1000.0, 1.0]]]]).half()
    result = resize(x)
    assert result.dtype == torch.float16
    assert torch.equal(result.float(), (x.float() @ matrix.T).half().float())


def test_names_of_weights_are_kept():
    module = nn.Sequential(nn.Conv2d(3, 2, 1), nn.Upsample(scale_factor=2))
    program = lowered_of(module, torch.rand(2, 3, 4, 4))
    assert {"0.weight", "0.bias"} <= set(program.state_dict)
