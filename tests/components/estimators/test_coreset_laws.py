"""The lazy selection is the plain one, taken in float64: whatever the points, the sizes of blocks, and what is rounded."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from anomedge.components import KCenterGreedy
from anomedge.components.estimators import coreset
from anomedge.errors import InputError


@pytest.fixture(params=["whole", "small"])
def blocks(request, monkeypatch):
    """Products of a few rows by a few centres, and a few candidates at a time, as hundreds of thousands of points have."""
    if request.param == "small":
        small_blocks(monkeypatch)


def small_blocks(monkeypatch):
    for name, value in {
        "_BLOCK": 512,
        "_ROWS": 16,
        "_CENTRES": 5,
        "_CANDIDATES": 12,
        "_SAMPLE": 9,
    }.items():
        monkeypatch.setattr(coreset, name, value)


def plain(points, chosen):
    """Each choice's squared distance to those before it, the largest of all points', and how far the runner-up is."""
    points = np.asarray(points, dtype=np.float64)
    distances = np.full(len(points), np.inf)
    found = []
    for before, now in itertools.pairwise(chosen):
        distances = np.minimum(
            distances, np.square(points - points[before]).sum(axis=1)
        )
        distances[before] = -np.inf
        found.append(
            (distances[now], distances.max(), np.sort(distances)[-2:].min())
        )
    return np.array(found).reshape(-1, 3)


def assert_greedy(points, chosen, count):
    assert len(chosen) == len(set(chosen)) == count
    own, largest, _ = plain(points, chosen).T
    np.testing.assert_allclose(own, largest, rtol=1e-12)


def cloud(name):
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(160, 24, generator=generator)
    few = torch.randn(30, 24, generator=generator)
    return {
        "normal": x,
        "clustered": 20 * few[torch.randint(30, (160,), generator=generator)]
        + 0.01 * x,
        "duplicates": few[torch.randint(30, (160,), generator=generator)],
        "far from zero": x + 1e4,
        "outliers": torch.cat(
            [x, torch.full((1, 24), 1e7), torch.full((1, 24), -1e5)]
        ),
        "one line": x[:, :1] * torch.ones(24),
        "lattice": x.round(),
        "tiny": x * 1e-22,
        "huge": x * 1e17,
        "one feature": x[:, :1],
        "columns": x.T,
    }[name]


CLOUDS = (
    "normal",
    "clustered",
    "duplicates",
    "far from zero",
    "outliers",
    "one line",
    "lattice",
    "tiny",
    "huge",
)


@pytest.mark.parametrize("name", [*CLOUDS, "one feature", "columns"])
def test_every_choice_is_a_farthest_point(name, blocks):
    points = cloud(name)
    greedy = KCenterGreedy(points, 0.5)
    assert_greedy(points, greedy.select_coreset_idxs(), len(points) // 2)


@pytest.mark.parametrize(
    "name", ["normal", "clustered", "far from zero", "outliers"]
)
def test_the_choice_is_the_plain_one_in_float64(name, blocks):
    """Where no two points are equally far; of the plain algorithm that starts where ours does."""
    points = cloud(name)
    chosen = KCenterGreedy(points, 0.4).select_coreset_idxs()
    wide, expected = points.double().numpy(), chosen[:1]
    distances = np.full(len(points), np.inf)
    while len(expected) < len(chosen):
        distances = np.minimum(
            distances, np.square(wide - wide[expected[-1]]).sum(axis=1)
        )
        expected.append(int(distances.argmax()))
    assert chosen == expected
    _, largest, second = plain(points, chosen).T
    assert (largest - second > 1e-12 * largest).all()


@pytest.mark.parametrize(
    "kind", [torch.float64, torch.float16, torch.bfloat16, torch.int64]
)
def test_other_types_are_measured_as_they_are(kind, blocks):
    points = (cloud("normal") * 10).to(kind)
    assert_greedy(
        points.double(), KCenterGreedy(points, 0.3).select_coreset_idxs(), 48
    )


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 9),
    st.floats(0.01, 1.0),
    st.integers(0, 2**31),
    st.sampled_from([0.0, 3.0, 1e6]),
    st.booleans(),
)
def test_every_shape_is_chosen_from(n, d, ratio, seed, offset, whole):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(n, d, generator=generator) * 2 + offset
    points = points.round() if whole else points
    with pytest.MonkeyPatch.context() as patch:
        small_blocks(patch)
        chosen = KCenterGreedy(points, ratio, seed=seed).select_coreset_idxs()
        assert_greedy(points, chosen, max(1, int(n * ratio)))


def test_the_covering_radius_is_at_most_twice_the_smallest(blocks):
    for seed in range(20):
        points = torch.randn(
            9,
            2,
            generator=torch.Generator().manual_seed(seed),
            dtype=torch.float64,
        )
        between = torch.cdist(points, points)
        radius = (
            between[
                :, KCenterGreedy(points, 3 / 9, seed=seed).select_coreset_idxs()
            ]
            .amin(dim=1)
            .max()
        )
        best = min(
            float(between[:, list(three)].amin(dim=1).max())
            for three in itertools.combinations(range(9), 3)
        )
        assert best <= float(radius) <= 2 * best


def test_distances_are_those_to_all_centres(blocks):
    """After a selection, in which most were not looked at, and after centres by hand."""
    points = cloud("clustered")
    greedy = KCenterGreedy(points, 0.2)
    chosen = greedy.select_coreset_idxs()
    for centres in (chosen, [*chosen, 3, 4]):
        greedy.update_distances(centres[len(chosen) :])
        expected = (
            torch.cdist(points.double(), points[centres].double())
            .square()
            .amin(dim=1)
        )
        others = ~torch.isin(torch.arange(160), torch.tensor(centres))
        assert greedy.min_distances.dtype == torch.float64
        torch.testing.assert_close(
            greedy.min_distances[others], expected[others], rtol=1e-9, atol=1e-9
        )
        assert bool((greedy.min_distances[centres] == -torch.inf).all())
        assert greedy.get_new_idx() == int(expected.argmax())


def test_what_is_taken_already_is_kept_away_from(blocks):
    points = cloud("normal")
    taken = list(range(0, 160, 3))
    chosen = KCenterGreedy(points, 1.0).select_coreset_idxs(taken)
    assert sorted(chosen + taken) == list(range(160))
    distances = torch.cdist(points.double(), points[taken].double()).amin(dim=1)
    assert chosen[0] == int(distances.argmax())


@pytest.mark.parametrize("precision", ["medium", "high"])
def test_products_that_may_be_rounded_further_are_taken_in_float64(precision):
    """Torch may be told to take float32 products in bfloat16 or TF32, whose rounding is not allowed for."""
    points = cloud("far from zero")
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        greedy = KCenterGreedy(points, 0.5)
        assert greedy._type == torch.float64
        assert_greedy(points, greedy.select_coreset_idxs(), 80)
    finally:
        torch.set_float32_matmul_precision(before)
    assert KCenterGreedy(points, 0.5)._type == torch.float32


class Largest(TorchDispatchMode):
    """The most float32 numbers that any tensor takes that is made under it, besides the one given."""

    def __init__(self, given):
        super().__init__()
        self.given = given.untyped_storage().data_ptr()
        self.numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if (
                isinstance(tensor, torch.Tensor)
                and tensor.untyped_storage().data_ptr() != self.given
            ):
                self.numbers = max(
                    self.numbers, tensor.untyped_storage().nbytes() // 4
                )
        return made


@pytest.mark.slow
def test_the_points_are_not_copied(monkeypatch):
    monkeypatch.setattr(coreset, "_BLOCK", 1 << 14)
    points = torch.randn(20_000, 64)
    with Largest(points) as largest:
        greedy = KCenterGreedy(points, 0.002)
        greedy.select_coreset_idxs()
        assert greedy.min_distances is not None
    assert (
        greedy.features.data_ptr()
        == greedy.embedding.data_ptr()
        == points.data_ptr()
    )
    assert 20_000 < largest.numbers < points.numel() / 8


def test_an_interrupted_selection_can_be_made_again(monkeypatch):
    points = cloud("normal")
    whole = KCenterGreedy(points, 0.4).select_coreset_idxs()
    greedy = KCenterGreedy(points, 0.4)
    measured, calls = KCenterGreedy._measured, itertools.count()

    def interrupted(self, *pairs):
        if next(calls) == 40:
            raise KeyboardInterrupt
        return measured(self, *pairs)

    monkeypatch.setattr(KCenterGreedy, "_measured", interrupted)
    with pytest.raises(KeyboardInterrupt):
        greedy.select_coreset_idxs()
    partial = greedy.min_distances
    assert int((partial == -torch.inf).sum()) > 1
    assert greedy.select_coreset_idxs() == whole


def test_progress_counts_what_is_chosen(monkeypatch):
    seen = []

    def track(items, description, total=None):
        seen.append((description, total))
        for item in items:
            seen.append(item)
            yield item

    monkeypatch.setattr(coreset, "track", track)
    chosen = KCenterGreedy(cloud("normal"), 0.1).select_coreset_idxs()
    assert seen == [("selecting the coreset", 15), *chosen[1:]]


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf, -torch.inf, 1e30])
def test_what_cannot_be_measured_is_refused(wrong):
    points = cloud("normal").clone()
    points[159, 5] = wrong
    with pytest.raises(InputError, match="not finite, or too large"):
        KCenterGreedy(points, 0.1)
