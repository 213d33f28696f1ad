"""Value ranges of networks and stages, as they are observed."""

import pytest
import torch
from torch import fx, nn

from anomedge.errors import ExportError
from anomedge.export.precision.observed import (
    SHOWN,
    ObservedNetwork,
    StageRanges,
)


class Steps(nn.Module):
    """Each step multiplies its input."""

    def __init__(self, *factors):
        super().__init__()
        self.factors = factors

    def forward(self, x):
        for factor in self.factors:
            x = torch.mul(x, factor)
        return x


def observed(*factors, prefix=""):
    return ObservedNetwork(fx.symbolic_trace(Steps(*factors)), prefix)


def seen(network):
    return {each.name: each.seen for each in network.ranges()}


def test_the_largest_magnitude_of_every_step_over_all_runs_is_kept():
    network = observed(-2.0, 0.5, prefix="net.")
    x = torch.tensor([1.0, -3.0])
    assert torch.equal(network(x), -x)
    network(torch.tensor([2.0, 0.0]))
    assert seen(network) == {"net.x": 3, "net.mul": 6, "net.mul_1": 3}
    assert all(each.halved and each.part == "backbone" for each in network.ranges())  # fmt: skip


def test_the_steps_nearest_to_the_limit_are_shown_in_order():
    network = observed(*[2.0] * 8)
    network(torch.ones(1))
    names = [f"mul_{number}" for number in range(8 - SHOWN, 8)]
    assert list(seen(network)) == names


def test_the_first_step_that_is_too_large_is_shown_too():
    network = observed(2e4, *[1.5] * 8)
    network(torch.ones(1))
    found = network.ranges()
    assert found[0].name == "mul"
    assert found[0].verdict == "may overflow"
    assert len(found) == SHOWN + 1


def test_a_step_that_is_not_finite_is_named():
    network = observed(2.0, float("inf"))
    with pytest.raises(ExportError, match="mul_1 comes to inf in float32"):
        network(torch.ones(1))


def test_integers_have_no_range():
    network = ObservedNetwork(fx.symbolic_trace(Steps(2)), "")
    network(torch.ones(1, dtype=torch.int64))
    assert network.ranges() == []


def test_channels_of_stages_have_their_smallest_and_largest_values():
    ranges = StageRanges()
    first = torch.tensor([[[[1.0, -2.0]], [[5.0, 6.0]]]])
    ranges.add({"features/a": first, "score": torch.tensor([3.0])})
    ranges.add({"features/a": first - 1, "score": torch.tensor([-4.0])})
    low, high = ranges.ends["features/a"]
    assert (low.tolist(), high.tolist()) == ([-3, 4], [1, 6])
    assert ranges.largest("features/a") == 6
    assert ranges.largest("score") == 4
    assert ranges.largest("unknown") == 0
    assert ranges.names() == ["score"]


def test_features_reach_to_zero():
    ranges = StageRanges()
    ranges.add({"features/a": torch.tensor([[[[5.0]], [[-2.0]]]])})
    ranges.add({"features/b": torch.tensor([[[[7.0]]]])})
    low, high = ranges.features()
    assert low.tolist() == [0, -2, 0]
    assert high.tolist() == [5, 0, 7]
    assert [len(x) for x in StageRanges().features()] == [0, 0]
