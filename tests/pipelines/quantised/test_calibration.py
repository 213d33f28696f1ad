"""Scales from images: the range of the histogram grows, outliers are clipped, zeros have a scale."""

import math

import pytest
import torch

from anomedge.pipelines.folding import fold_batch_norms
from anomedge.pipelines.quantised.calibration import Histogram, ObservedNetwork
from tests.pipelines.quantised.networks import Branches, graph_of

GENERATOR = torch.Generator().manual_seed(0)
VALUES = torch.randn(20_000, generator=GENERATOR)


def histogram_of(*parts):
    made = Histogram()
    for part in parts:
        made.add(part)
    return made


def squared_error(values, scale):
    levels = (values.double() / scale).round().clamp(-128, 127)
    return float((levels * scale - values).square().sum())


def test_all_values_are_counted_while_the_range_grows():
    made = histogram_of(VALUES, 10 * VALUES, 0.1 * VALUES)
    assert float(made.counts.sum()) == 3 * len(VALUES)
    assert made.top >= 10 * float(VALUES.abs().max())


def test_the_order_of_the_parts_hardly_matters():
    up = histogram_of(VALUES, 3 * VALUES).scale()
    down = histogram_of(3 * VALUES, VALUES).scale()
    assert up == down


@pytest.mark.parametrize(
    "values",
    [VALUES, VALUES.relu(), VALUES**3, torch.rand(9_000, generator=GENERATOR)],
)
def test_the_scale_has_the_least_error_of_all_candidates(values):
    found = squared_error(values, histogram_of(values).scale())
    largest = float(values.abs().max())
    powers = torch.arange(-3, 2).double().exp2() * 2 ** math.ceil(
        math.log2(largest / 127)
    )
    scales = [float(each) for each in torch.cat([powers, 0.75 * powers])]
    errors = [squared_error(values, scale) for scale in scales]
    assert found <= 1.05 * min(errors)


def test_outliers_are_clipped_and_ranges_without_them_are_not():
    assert histogram_of(torch.rand(9_000)).scale() == 1 / 128
    rare = [*[VALUES] * 50, torch.tensor([20.0])]
    assert histogram_of(*rare).scale() * 127 < 6


def test_zeros_have_a_positive_scale():
    assert histogram_of(torch.zeros(10)).scale() == 1 / 128
    later = histogram_of(torch.zeros(10), torch.ones(10))
    assert later.scale() in {1 / 128, 1.5 / 128}
    assert float(later.counts.sum()) == pytest.approx(10)


def test_zeros_have_no_part_in_the_scale():
    """Half of a rectified value is zero and exact; counted as rounded, they would clip the other half."""
    values = VALUES.relu()
    alone = histogram_of(values[values > 0]).scale()
    assert histogram_of(values).scale() == alone


def test_an_observed_network_gives_its_outputs_and_a_scale_per_product():
    graph = graph_of(Branches())
    observed = ObservedNetwork(graph)
    images = torch.rand(4, 3, 8, 8)
    assert torch.equal(observed(images), graph(images))
    scales = observed.scales()
    assert set(scales) == {"left.weight", "right.weight", "head.weight"}
    assert scales["left.weight"] == scales["right.weight"]
    assert scales["left.weight"] == 1 / 128
    assert observed.multiplications() == {
        "left.weight": 4 * 64 * 27,
        "right.weight": 4 * 64 * 3,
        "head.weight": 2 * 64 * 4,
    }


def test_multiplications_of_a_network_with_a_list_of_inputs_are_those_of_an_image():  # fmt: skip
    class Sum(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 4, 1)

        def forward(self, levels):
            return self.conv(levels[0] + levels[1])

    levels = [torch.rand(6, 3, 8, 8), torch.rand(6, 3, 8, 8)]
    graph = torch.export.export(Sum(), (levels,)).run_decompositions({})
    observed = ObservedNetwork(fold_batch_norms(graph.module()))
    observed(levels)
    assert observed.multiplications() == {"conv.weight": 4 * 64 * 3}
