"""Running moments whatever the batches: the same sums, of bounded memory, from pictures kept until there are enough."""

import itertools

import numpy as np
import pytest
import torch

from anomedge.components import MultiVariateGaussian, RunningMoments
from anomedge.components.estimators import gaussian, moments
from anomedge.errors import InputError

IMAGES, FEATURES, PATCHES = 43, 4, 7


@pytest.fixture(params=[100, 10, 1])
def kept(request, monkeypatch):
    """Pictures that go into the sums together, and sums of two places at a time."""
    monkeypatch.setattr(moments, "_KEPT", request.param)
    monkeypatch.setattr(
        moments, "_BLOCK", 2 * FEATURES * max(FEATURES, request.param)
    )
    return request.param


def embedding(dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(
        IMAGES, FEATURES, PATCHES, generator=generator
    ) + torch.linspace(0, 1e3, PATCHES)
    return x.to(dtype)


def assert_moments(running, x):
    x = x.double().numpy()
    np.testing.assert_allclose(running.mean, x.mean(axis=0).T, rtol=1e-12)
    for place, covariance in enumerate(running.covariance()):
        np.testing.assert_allclose(
            covariance,
            np.cov(x[:, :, place], rowvar=False),
            rtol=1e-9,
            atol=1e-9,
        )


@pytest.mark.parametrize(
    "sizes",
    [[43], [1] * 43, [8, 8, 8, 8, 8, 3], [9, 1, 33], [10, 10, 10, 10, 3]],
)
def test_batches_of_any_size_give_numpys_moments(sizes, kept):
    x = embedding()
    running = RunningMoments(FEATURES, PATCHES)
    for batch in torch.split(x, sizes):
        running.update(batch)
    assert running.count == IMAGES
    assert_moments(running, x)


def test_what_is_asked_between_batches_changes_nothing(kept):
    x = embedding()
    running = RunningMoments(FEATURES, PATCHES)
    for stop, batch in zip(range(8, 48, 8), torch.split(x, 8), strict=False):
        running.update(batch)
        assert_moments(running, x[:stop])


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_any_layout_of_the_batch_is_taken(order):
    """PaDiM gives a view whose patches come first in memory."""
    x = embedding()
    laid = (
        x.permute(order).contiguous().permute(tuple(np.argsort(order).tolist()))
    )
    assert torch.equal(laid, x)
    running = RunningMoments(FEATURES, PATCHES)
    running.update(laid)
    assert_moments(running, x)


def test_a_batch_may_be_overwritten_by_the_next():
    x = embedding()
    for layout in (
        torch.empty(8, FEATURES, PATCHES),
        torch.empty(PATCHES, 8, FEATURES).permute(1, 2, 0),
    ):
        running = RunningMoments(FEATURES, PATCHES)
        for batch in torch.split(x[:40], 8):
            running.update(layout.copy_(batch))
        assert_moments(running, x[:40])


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf, -torch.inf])
def test_a_refused_batch_leaves_the_sums(wrong, kept):
    x = embedding()
    running = RunningMoments(FEATURES, PATCHES)
    running.update(x[:30])
    bad = x[30:].clone()
    bad[-1, -1, -1] = wrong
    with pytest.raises(InputError, match="not finite"):
        running.update(bad)
    assert running.count == 30
    running.update(x[30:])
    assert_moments(running, x)


def test_large_numbers_whose_sum_overflows_are_taken(float64):
    x = torch.full((3, 2, 2), 3e38, dtype=torch.float32)
    x[0] = 1e38
    running = RunningMoments(2, 2)
    running.update(x)
    assert_moments(running, x)


def test_pictures_kept_are_few(monkeypatch):
    monkeypatch.setattr(moments, "_KEPT", 10)
    running = RunningMoments(FEATURES, PATCHES)
    most = 0
    for batch in torch.split(embedding(), 4):
        running.update(batch)
        most = max(
            most, sum(kept.untyped_storage().nbytes() for kept in running._kept)
        )
    assert 0 < most < 4 * 10 * FEATURES * PATCHES


def test_progress_counts_the_blocks_and_an_interrupted_fit_leaves_the_last(
    monkeypatch,
):
    monkeypatch.setattr(gaussian, "_PATCHES_AT_ONCE", 3)
    fitted = MultiVariateGaussian(FEATURES, PATCHES)
    fitted.fit(embedding().reshape(IMAGES, FEATURES, 1, PATCHES))
    before = {
        name: value.clone() for name, value in fitted.state_dict().items()
    }
    seen = []

    def track(items, description, total=None):
        for item in items:
            seen.append((description, item))
            yield item
            if item == 3:
                raise KeyboardInterrupt

    monkeypatch.setattr(gaussian, "track", track)
    other = RunningMoments(FEATURES, PATCHES)
    other.update(2 * embedding() + 1)
    with pytest.raises(KeyboardInterrupt):
        fitted.fit_moments(other)
    assert seen == [("fitting the Gaussians", 0), ("fitting the Gaussians", 3)]
    assert all(
        torch.equal(value, before[name])
        for name, value in fitted.state_dict().items()
    )
