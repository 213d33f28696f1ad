"""Memory: what is alive at once, the arena, the planned block, the copies; small cases by hand, laws by chance."""

import pytest

from anomedge.budget import Network, Operation, memory_of
from anomedge.budget.memory import lives
from tests.budget.test_arena import MB


def network(
    *operations: Operation, constants=None, outputs=None, stored=None
) -> Network:
    last = operations[-1].name
    return Network(
        inputs={"x": MB},
        constants=constants or {},
        operations=operations,
        stages={"end": last},
        outputs=outputs or (last,),
        stored=stored or {},
    )


def op(name: str, *reads: str, kind="other", size=MB) -> Operation:
    return Operation(name, kind, reads, (size,), size)


def test_a_chain_needs_two_values_at_a_time():
    memory = memory_of(
        network(op("a", "x"), op("b", "a"), op("c", "b"), op("d", "c"))
    )
    assert memory.values == 2 * MB
    assert memory.inputs == MB


def test_a_value_lives_until_its_last_reader():
    memory = memory_of(
        network(op("a", "x"), op("b", "a"), op("c", "b"), op("d", "c", "a"))
    )
    assert memory.values == 3 * MB
    assert {value.name for value in memory.largest} == {"a", "b", "c"}


def test_views_and_overwriting_take_nothing():
    chain = network(
        op("a", "x"),
        op("v", "a", kind="view"),
        op("r", "v", kind="overwriting"),
        op("s", "r"),
    )
    assert memory_of(chain).values == 2 * MB
    assert [life.operation.name for life in lives(chain)] == ["a", "s"]


def test_what_somebody_still_reads_is_not_overwritten():
    both = network(
        op("a", "x"), op("r", "a", kind="overwriting"), op("s", "r", "a")
    )
    assert memory_of(both).values == 3 * MB
    behind_a_view = network(
        op("a", "x"),
        op("v", "a", kind="view"),
        op("r", "a", kind="overwriting"),
        op("s", "r", "v"),
    )
    assert memory_of(behind_a_view).values == 3 * MB
    of_another_size = network(
        op("a", "x"), op("r", "a", kind="overwriting", size=2 * MB)
    )
    assert memory_of(of_another_size).values == 3 * MB
    the_input = network(op("r", "x", kind="overwriting"))
    assert memory_of(the_input).values == MB


def test_outputs_live_to_the_end():
    assert (
        memory_of(
            network(
                op("a", "x"), op("b", "a"), op("c", "b"), outputs=("a", "c")
            )
        ).values
        == 3 * MB
    )


@pytest.mark.parametrize(
    ("kinds", "copies"),
    [
        (["convolution"], 0),  # in blocks, in place of the file's
        (["product"], 0),  # the packed ones take their place
        (["product", "lookup"], 1),
        (["product", "product"], 1),
        (["product", "product", "lookup"], 2),
        (["other"], 0),
    ],
)
def test_copies_of_constants(kinds, copies):
    operations = [
        op(f"o{i}", "x", "w", kind=kind) for i, kind in enumerate(kinds)
    ]
    assert (
        memory_of(network(*operations, constants={"w": 5 * MB})).copies
        == copies * 5 * MB
    )


def test_opening_takes_most_while_it_parses_unfolds_or_copies_constants():
    sizes = {"w": 8 * MB, "c": 2 * MB}
    parsed = network(op("a", "x", "w", "c"), constants=sizes)
    assert memory_of(parsed).opening == 3 * parsed.stored_bytes == 30 * MB
    copied = network(
        op("a", "x", "w", "c"), constants=sizes, stored={"w": 1 * MB}
    )
    assert memory_of(copied).opening == (8 + 2 + 8) * MB
    three = ("w", "v", "u")
    unfolded = network(
        op("a", "x", *three),
        constants=dict.fromkeys(three, 8 * MB),
        stored=dict.fromkeys(three, 4 * MB),
    )
    assert unfolded.stored_bytes == 12 * MB
    assert memory_of(unfolded).opening == (12 + 24 + 4) * MB
    blocks = network(
        op("a", "x", "w", kind="convolution"), constants={"w": 8 * MB}
    )
    assert memory_of(blocks).opening == (8 + 8 + 4 + 8) * MB
    huge = network(op("a", "x", "w"), constants={"w": 3 << 30})
    assert (
        memory_of(huge).opening == 3 << 30
    )  # beside the graph, used where they were read


def test_what_opening_frees_stays_with_the_process():
    read, sizes = op("a", "x", "w", "c"), {"w": 8 * MB, "c": 2 * MB}
    assert memory_of(network(read, constants=sizes)).freed == 8 * MB
    assert (
        memory_of(network(read, constants=sizes | {"w": 32 * MB})).freed
        == 2 * MB
    )  # malloc maps the larger by itself
    convolved = network(
        op("a", "x", "w", kind="convolution"), constants={"w": 8 * MB}
    )
    assert memory_of(convolved).freed == (8 + 4 + 8) * MB
    assert (
        memory_of(convolved).reused == memory_of(convolved).arena == MB
    )  # in what was freed
    assert (
        (8 + 20 + 1) * MB < memory_of(convolved).running < (8 + 20 + 1 + 6) * MB
    )
    large = network(
        op("a", "x", "w", kind="convolution"), constants={"w": 64 * MB}
    )
    assert memory_of(large).freed == 0
    huge = network(
        op("a", "x", "w", kind="convolution"), constants={"w": 3 << 30}
    )
    assert (memory_of(huge).freed, memory_of(huge).copies) == (0, 3 << 30)


def test_values_go_where_something_was_freed_if_it_is_large_enough():
    chain = op("a", "x", "w", size=4 * MB), op("b", "a", size=4 * MB)
    scarce, ample = (
        memory_of(network(*chain, constants={"w": size * MB}))
        for size in (11, 12)
    )
    assert scarce.arena == ample.arena
    assert (scarce.reused, ample.reused) == (
        0,
        4 * MB,
    )  # a region of 4 MB, then one of 8 that finds no room
    assert scarce.running - ample.running == (11 + 11 - 12 - 12 + 4) * MB
