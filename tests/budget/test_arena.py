"""The arena of ONNX Runtime, and the block that it plans."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from anomedge.budget.arena import Arena, planned

MB = 1 << 20


def test_the_arena_reuses_merges_and_grows_in_powers_of_two():
    arena = Arena()
    one, two = arena.take(400_000), arena.take(400_000)
    assert arena.touched == 800_000
    arena.give(one)
    arena.give(two)
    assert (
        arena.take(900_000)[1] >= 900_000
    )  # both, and what lay behind them, in the first region
    assert arena.touched == 900_000
    arena.take(MB)
    assert arena.touched == 900_000 + MB  # the next region
    assert arena.regions == [(MB, 900_000), (2 * MB, MB)]
    big = arena.take(9 * MB)
    arena.give(big)
    assert (
        arena.take(16 * MB)[1] == 16 * MB
    )  # a region is a power of two, and 16 MB of it were free
    assert arena.touched == 900_000 + MB + 16 * MB


def test_the_plan_fills_the_smallest_gap():
    kilo = 1024
    values = [
        (0, 9, kilo),
        (0, 1, 4 * kilo),
        (0, 9, kilo),
        (0, 1, 2 * kilo),
        (0, 9, kilo),
        (2, 9, 2 * kilo),
    ]
    assert planned(values) == 9 * kilo
    assert planned([*values, (2, 9, 4 * kilo)]) == 9 * kilo
    assert planned([]) == 0


VALUES = st.lists(
    st.tuples(
        st.integers(0, 12), st.integers(0, 12), st.integers(1, 6 * MB)
    ).map(lambda v: (min(v[:2]), max(v[:2]), v[2])),
    min_size=1,
    max_size=24,
)


@given(VALUES)
def test_no_plan_and_no_arena_is_smaller_than_what_is_alive(values):
    alive = max(
        sum(size for made, last, size in values if made <= place <= last)
        for place in range(13)
    )
    total = sum(-(-size // 256) * 256 for _, _, size in values)
    assert alive <= planned(values) <= total
    arena, held = Arena(), {}
    for place in range(13):
        for i, (made, _, size) in enumerate(values):
            if made == place:
                held[i] = arena.take(size)
        spans = sorted(held.values())
        assert all(one[0] + one[1] <= two[0] for one, two in pairwise(spans))
        for i, (_, last, _) in enumerate(values):
            if last == place:
                arena.give(held.pop(i))
    assert alive <= arena.touched <= total
