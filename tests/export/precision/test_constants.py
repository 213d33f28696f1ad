"""Constants of networks that float16 does not have."""

import copy
import re
from dataclasses import replace

import pytest
import torch
from torch import nn

from anomedge.errors import ExportError
from anomedge.export.precision.constants import (
    assert_no_constant_vanishes,
    weight_ranges,
)
from anomedge.pipelines.folded_networks import folded_networks
from tests.export.precision.ranges import by_name


class Normalised(nn.Module):
    def __init__(self, least):
        super().__init__()
        self.least = least

    def forward(self, x):
        return {
            "all": x / x.abs().sum(dim=1, keepdim=True).clamp_min(self.least)
        }


@pytest.mark.parametrize(
    ("least", "fits"), [(1e-12, False), (1e-3, True), (1e6, False)]
)
def test_a_constant_that_float16_does_not_have_is_refused(models, least, fits):
    model = replace(
        models["padim"],
        pipeline=models["padim"].pipeline.with_extractor(Normalised(least)),
    )
    backbone = folded_networks(model.pipeline, model.geometry, None)[
        "extractor"
    ]
    if fits:
        assert_no_constant_vanishes(backbone)
        return
    with pytest.raises(
        ExportError,
        match=re.escape(
            f"computes with {least:g}, which float16 does not have"
        ),
    ):
        assert_no_constant_vanishes(backbone)


class Small(nn.Module):
    """Computes with a constant of a kind, and behind it with a layer norm, whose epsilon every runtime keeps in float32."""

    def __init__(self, step, constant):
        super().__init__()
        self.step = step
        self.norm = nn.LayerNorm(3, eps=1e-12)
        self.register_buffer("constant", torch.tensor(constant))
        self.register_buffer("kernel", torch.full((3, 3, 1, 1), constant))

    def forward(self, x):
        return {"all": self.norm(self.step(self, x).movedim(1, -1))}


STEPS = {
    "less": lambda m, x: x - 3.7e-9,
    "root": lambda m, x: torch.sqrt(x.abs() + 1e-9),
    "unit": lambda m, x: x / (x.norm(dim=1, keepdim=True) + 1e-10),
    "compared": lambda m, x: torch.where(x > 3.7e-9, x, -x),
    "leaky": lambda m, x: nn.functional.leaky_relu(x, 3.7e-9),
    "buffer": lambda m, x: x / m.constant,
    "literal": lambda m, x: torch.maximum(x, torch.tensor(3.7e-9)),
}


def small(models, step, constant=3.7e-9):
    pipeline = models["padim"].pipeline.with_extractor(Small(step, constant))
    model = replace(models["padim"], pipeline=pipeline)
    return folded_networks(model.pipeline, model.geometry, None)["extractor"]


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS.keys())
def test_constants_that_vanish_in_float16_are_refused_whatever_computes_with_them(
    models, step
):
    with pytest.raises(
        ExportError,
        match=r"computes with (3\.7e-09|1e-09|1e-10), which float16 does not have",
    ):
        assert_no_constant_vanishes(small(models, step))


@pytest.mark.parametrize("constant", [1e-6, 0.0, 3e4])
def test_constants_that_float16_has_are_let_through(models, constant):
    assert_no_constant_vanishes(
        small(
            models,
            lambda m, x: torch.clamp(x + m.constant, max=float("inf")),
            constant,
        )
    )


@pytest.mark.parametrize(
    "norm", [nn.LayerNorm(3), nn.GroupNorm(1, 3)], ids=["layer", "group"]
)
def test_biases_of_norms_may_vanish_and_are_named(models, norm):
    small_bias = copy.deepcopy(norm).requires_grad_(False)
    small_bias.bias.fill_(1e-10)

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = small_bias

        def forward(self, x):
            is_last = isinstance(self.norm, nn.LayerNorm)
            return {"all": self.norm(x.movedim(1, -1) if is_last else x)}

    pipeline = models["padim"].pipeline.with_extractor(Network())
    model = replace(models["padim"], pipeline=pipeline)
    network = folded_networks(pipeline, model.geometry, None)["extractor"]
    assert_no_constant_vanishes(network)
    assert by_name(weight_ranges(network))["norm.bias"].verdict == "underflows"


def test_a_vanishing_constant_that_is_normalised_is_refused(models):
    with pytest.raises(ExportError, match=r"computes with 3\.7e-09"):
        assert_no_constant_vanishes(
            small(
                models,
                lambda m, x: (
                    x + nn.functional.layer_norm(m.kernel, [3, 1, 1]).sum()
                ),
            )
        )


def test_weights_that_vanish_in_float16_are_named(models):
    backbone = small(models, lambda m, x: nn.functional.conv2d(x, m.kernel))
    assert_no_constant_vanishes(backbone)
    assert by_name(weight_ranges(backbone))["kernel"].verdict == "underflows"
