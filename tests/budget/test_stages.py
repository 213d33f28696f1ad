"""Work and bytes of stages, by hand on a graph of a few operations."""

from anomedge.budget import Network, Operation, stage_costs


def small() -> Network:
    """x -> a (product with w) -> b (adds c) -> stage "first"; looked up in t -> stage "second"."""
    return Network(
        inputs={"x": 100},
        constants={"w": 1000, "c": 10, "t": 5000},
        operations=(
            Operation("a", "product", ("x", "w"), (1, 10), 40, flops=7),
            Operation("b", "overwriting", ("a", "c"), (1, 10), 40),
            Operation("v", "view", ("b",), (10,), 40),
            Operation("k", "lookup", ("t", "v"), (3,), 12),
            Operation("unused", "other", ("b",), (9,), 999, flops=999),
            Operation("m", "other", ("k", "b"), (1,), 4, flops=1),
        ),
        stages={"first": "b", "second": "m"},
        outputs=("m",),
    )


def test_stages_by_hand():
    first, second = stage_costs(small())
    assert (first.name, first.shape, first.flops, first.weights) == (
        "first",
        (1, 10),
        7,
        1010,
    )
    assert first.moved == 100 + 40  # the input, and b, which others read
    # a is written and x read, b is done while a is written
    assert first.within == (40 + 100 + 0) - 140 == 0
    assert first.bytes == 1010 + 140
    # of a table only what is needed is read, so it is no weight; b comes in, m goes out
    assert (second.flops, second.weights, second.moved) == (1, 0, 40 + 4)
    assert second.within == (12 + 40) + (4 + 12 + 40) - 44


def test_constants_are_read_once_in_the_first_stage_that_needs_them():
    network = Network(
        inputs={"x": 8},
        constants={"w": 100},
        operations=(
            Operation("a", "product", ("x", "w"), (1,), 8),
            Operation("b", "product", ("a", "w"), (1,), 8),
        ),
        stages={"one": "a", "two": "b"},
        outputs=("b",),
    )
    assert [stage.weights for stage in stage_costs(network)] == [100, 0]
