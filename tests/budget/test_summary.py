"""The budget of a graph: time of its parts on a device, and all figures as JSON."""

import json

import pytest

from anomedge.budget import Device, Figure, Network, Operation
from anomedge.budget.summary import PARTS, budget_of, part_of

DEVICE = Device(
    title="a test's",
    fp32=Figure(value=1e6, source="a test"),
    bandwidth=Figure(value=1e6, source="a test"),
    release="none",
)


@pytest.fixture
def network():
    """Two frames: pixels, a backbone that computes, a map that only moves bytes."""
    return Network(
        inputs={"frames": 200},
        constants={"w": 1000},
        operations=(
            Operation("p", "other", ("frames",), (2, 50), 400),
            Operation("f", "product", ("p", "w"), (2, 10), 80, flops=40_000),
            Operation("h", "other", ("f",), (2, 3000), 24_000),
            Operation("m", "other", ("h",), (2, 10), 80),
        ),
        stages={
            "preprocessed": "p",
            "features/layer1": "f",
            "anomaly_map": "m",
        },
        outputs=("m",),
    )


@pytest.mark.parametrize(
    ("stage", "part"),
    [
        ("preprocessed", "preprocessing"),
        ("features/blocks.2", "backbone"),
        ("distances", "distances"),
        ("features", "distances"),
        ("anomaly_map", "map and score"),
        ("score", "map and score"),
    ],
)
def test_stages_belong_to_parts(stage, part):
    assert part_of(stage) == part


def test_parts_take_the_slower_of_arithmetic_and_memory(network):
    budget = budget_of(network, (5, 10), 2)
    shares = budget.shares(DEVICE)
    assert list(shares) == list(PARTS)
    assert shares["preprocessing"] == pytest.approx((200 + 400) / 1e3 / 2)
    assert shares["backbone"] == pytest.approx(40_000 / 1e3 / 2)
    assert shares["distances"] == 0
    assert shares["map and score"] == pytest.approx((80 + 80) / 1e3 / 2)
    assert budget.milliseconds(DEVICE) == pytest.approx(sum(shares.values()))


def test_values_within_a_stage_count_without_a_cache(network):
    budget = budget_of(network, (5, 10), 2)
    more = budget.without_cache(DEVICE) - budget.milliseconds(DEVICE)
    assert more == pytest.approx(2 * 24_000 / 1e3 / 2)


def test_all_figures_are_json(network):
    budget = budget_of(network, (5, 10), 2)
    content = json.loads(json.dumps(budget.to_json(DEVICE)))
    assert content["frame"] == [5, 10]
    assert content["files"]["all"] == sum(budget.files.values())
    assert content["memory"]["peak"] == budget.memory.peak
    assert content["memory"]["largest"][0].keys() == {"shape", "bytes", "name"}
    rows = {row["name"]: row for row in content["stages"]}
    assert rows["features/layer1"]["held_by"] == "arithmetic"
    assert rows["anomaly_map"]["held_by"] == "memory"
    total = sum(row["milliseconds"] for row in content["stages"])
    assert total == pytest.approx(content["milliseconds"])
