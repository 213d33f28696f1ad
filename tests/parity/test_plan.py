"""Plans: options of each runtime, and batch sizes that a graph accepts."""

from types import SimpleNamespace

import pytest

from anomedge.errors import InputError
from anomedge.parity.plan import Plan, batches_of
from anomedge.parity.tolerances import TOLERANCES
from tests.conftest import RUNTIMES

FIRST = RUNTIMES[0]


def bundle(batch):
    return SimpleNamespace(
        manifest=SimpleNamespace(input=SimpleNamespace(batch=batch))
    )


@pytest.mark.parametrize(
    ("batch", "asked", "batches"),
    [
        ("dynamic", [], [1, 2, 3, 8]),
        ("dynamic", [5, 1], [5, 1]),
        (4, [], [4]),
        (4, [4, 4], [4]),
    ],
)
def test_batch_sizes_of_a_proof(batch, asked, batches):
    assert batches_of(bundle(batch), asked) == batches


def test_a_fixed_batch_takes_no_other():
    with pytest.raises(
        InputError, match=r"got batch sizes \[1, 2\]; expected 4"
    ):
        batches_of(bundle(4), [1, 4, 2])


@pytest.mark.parametrize(
    ("batches", "largest"), [([1], 8), ([16, 2], 16), ([], 8)]
)
def test_an_engine_serves_the_largest_batch_of_the_plan(batches, largest):
    assert Plan([FIRST], batches).options(FIRST).batches == (1, 1, largest)


def test_options_are_the_plans_unless_others_are_given():
    plan = Plan([FIRST], [1], threads=2)
    assert plan.options(FIRST).threads == 2
    assert plan.options(FIRST, stages=True, threads=1).stages
    assert plan.options(FIRST, threads=1).threads == 1
    with pytest.raises(InputError, match="nonsense"):
        plan.options(FIRST, nonsense=1)


def test_a_plan_widens_this_releases_tolerances():
    wide = Plan([FIRST], [1], "fp16", widen=2.0).tolerance
    assert wide.score == pytest.approx(2 * TOLERANCES["fp16"].score)
