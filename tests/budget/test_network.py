"""Graphs as lists of operations."""

import pytest

from anomedge.budget import Network, Operation
from anomedge.errors import InputError


def test_a_graph_must_hang_together():
    with pytest.raises(InputError, match="reads"):
        Network(
            {"x": 1},
            {},
            (Operation("a", "other", ("y",), (), 1),),
            {"s": "a"},
            ("a",),
        )
    with pytest.raises(InputError, match="without"):
        Network({"x": 1}, {}, (), {"s": "a"}, ("a",))


def test_constants_count_as_they_lie_in_the_file():
    network = Network(
        inputs={"x": 8},
        constants={"plain": 100, "half": 100, "made": 1000},
        operations=(Operation("a", "other", ("x", "made"), (2,), 8),),
        stages={"s": "a"},
        outputs=("a",),
        stored={"half": 50, "made": 500},
        computed=frozenset({"made"}),
    )
    assert network.stored_bytes == 100 + 50


def test_an_operation_may_not_read_a_later_one():
    operations = (
        Operation("a", "other", ("b",), (1,), 4),
        Operation("b", "other", ("x",), (1,), 4),
    )
    with pytest.raises(InputError, match=r"a reads \['b'\]"):
        Network({"x": 4}, {}, operations, {"s": "b"}, ("b",))
