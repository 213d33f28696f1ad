import warnings

import numpy as np
import pytest
import torch

from anomedge.components import MultiVariateGaussian, RunningMoments
from anomedge.errors import InputError


def test_cov_is_numpys(float64):
    x = torch.randn(20, 4)
    weights = torch.rand(20)
    for options in (
        {},
        {"bias": True},
        {"ddof": 0},
        {"ddof": 2},
        {"rowvar": True},
    ):
        np.testing.assert_allclose(
            MultiVariateGaussian._cov(x, **options),
            np.cov(x, **({"rowvar": False} | options)),
            atol=1e-12,
        )
    ours = MultiVariateGaussian._cov(x, aweights=weights)
    np.testing.assert_allclose(
        ours, np.cov(x, rowvar=False, aweights=weights), atol=1e-12
    )
    np.testing.assert_allclose(
        MultiVariateGaussian._cov(x[:, 0]), np.cov(x[:, 0]), atol=1e-12
    )


@pytest.mark.parametrize("rowvar", [False, True])
@pytest.mark.parametrize(
    "shape", [(6,), (6, 3), (1, 6), (6, 1), (1, 1), (0, 3), (3, 0), ()]
)
def test_cov_is_numpys_at_the_edges(float64, rowvar, shape):
    """One variable, one observation, none at all: numpy's values and its warning, with every option."""
    x = torch.randn(shape)
    observations = (
        1
        if len(shape) == 0
        else shape[0]
        if len(shape) == 1
        else shape[int(rowvar)]
    )
    for options in (
        {},
        {"bias": True},
        {"ddof": 0},
        {"ddof": 3},
        {"ddof": 9},
        {"bias": True, "ddof": 1},
    ):
        for aweights in (
            None,
            torch.rand(observations) if observations else None,
        ):
            weights = None if aweights is None else aweights.numpy()
            with warnings.catch_warnings(record=True) as theirs:
                warnings.simplefilter("always")
                expected = np.cov(x, rowvar=rowvar, aweights=weights, **options)
            with warnings.catch_warnings(record=True) as ours:
                warnings.simplefilter("always")
                produced = MultiVariateGaussian._cov(
                    x, rowvar=rowvar, aweights=aweights, **options
                )
            assert produced.shape == expected.shape
            np.testing.assert_allclose(
                produced, expected, rtol=1e-12, atol=1e-12
            )
            degrees = [
                [w for w in found if "Degrees of freedom" in str(w.message)]
                for found in (theirs, ours)
            ]
            assert [w.category for w in degrees[0]] == [
                w.category for w in degrees[1]
            ] or expected.size == 0


def test_cov_keeps_the_dtype():
    assert MultiVariateGaussian._cov(torch.rand(5, 2)).dtype == torch.float32
    assert MultiVariateGaussian._cov(
        torch.tensor([1, 2, 4])
    ).item() == pytest.approx(np.cov([1, 2, 4]))


def test_thousands_of_patches_are_not_a_python_loop(monkeypatch):
    calls = []
    cholesky = torch.linalg.cholesky_ex
    monkeypatch.setattr(
        torch.linalg,
        "cholesky_ex",
        lambda x: calls.append(len(x)) or cholesky(x),
    )
    MultiVariateGaussian(2, 4096).fit(torch.randn(3, 2, 64, 64))
    assert (sum(calls), len(calls)) == (4096, 16)


def test_forward_returns_mean_and_inverse_covariance(float64):
    x = torch.randn(50, 3, 2, 2) * 5 + 100
    gaussian = MultiVariateGaussian(3, 4)
    mean, inverse = gaussian(x)
    flat = x.reshape(50, 3, 4).numpy()
    np.testing.assert_allclose(mean, flat.mean(axis=0), atol=1e-10)
    for p in range(4):
        expected = np.linalg.inv(
            np.cov(flat[:, :, p], rowvar=False) + 0.01 * np.eye(3)
        )
        np.testing.assert_allclose(inverse[p], expected, rtol=1e-9)


def test_stream_is_the_whole(float64):
    x = torch.randn(37, 4, 5) + torch.linspace(0, 1e4, 5)
    moments = RunningMoments(4, 5)
    for batch in x.split(8):
        moments.update(batch)
    for p in range(5):
        np.testing.assert_allclose(
            moments.covariance()[p],
            np.cov(x[:, :, p].numpy(), rowvar=False),
            rtol=1e-9,
            atol=1e-9,
        )
    np.testing.assert_allclose(moments.mean, x.mean(dim=0).T, rtol=1e-12)


def test_memory_does_not_grow_with_images():
    moments = RunningMoments(3, 4)
    size = {
        name: value.numel()
        for name, value in vars(moments).items()
        if isinstance(value, torch.Tensor)
    }
    for _ in range(5):
        moments.update(torch.randn(8, 3, 4))
    assert {
        name: value.numel()
        for name, value in vars(moments).items()
        if isinstance(value, torch.Tensor)
    } == size


def test_loads_the_inverse_covariance_that_others_store(float64):
    fitted = MultiVariateGaussian(3, 2)
    mean, inverse = fitted.fit(torch.randn(20, 3, 1, 2))
    other = MultiVariateGaussian(3, 2)
    other.load_state_dict({"mean": mean, "inv_covariance": inverse})
    x = torch.randn(5, 3, 2)
    torch.testing.assert_close(
        other.distance(x), fitted.distance(x), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("features", [1, 2, 5])
def test_sizes_left_open_are_those_of_the_data_fitted_or_loaded(features):
    """As in anomalib 2, whose class takes no sizes; its state holds `inv_covariance`."""
    data = torch.randn(
        20, features, 2, 3, generator=torch.Generator().manual_seed(features)
    )
    fixed, open_sized, loaded, from_theirs = (
        MultiVariateGaussian(features, 6),
        *(MultiVariateGaussian() for _ in "123"),
    )
    fixed.fit(data)
    assert open_sized.state_dict().keys() == {"mean"}
    open_sized.fit(torch.randn(20, 7, 4, 4))  # of other sizes first
    open_sized.fit(data)
    loaded.load_state_dict(fixed.state_dict())
    from_theirs.load_state_dict(
        {"mean": fixed.mean, "inv_covariance": fixed.inv_covariance}
    )
    x = data.flatten(2)[:3]
    assert list(open_sized.state_dict()) == list(fixed.state_dict())
    assert torch.equal(open_sized.distance(x), fixed.distance(x))
    assert torch.equal(loaded.distance(x), fixed.distance(x))
    torch.testing.assert_close(from_theirs.distance(x), fixed.distance(x))


def test_sizes_that_were_given_are_kept():
    small, large = MultiVariateGaussian(2, 4), MultiVariateGaussian(3, 4)
    with pytest.raises(RuntimeError, match="size mismatch"):
        small.load_state_dict(large.state_dict())


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (lambda: MultiVariateGaussian(0, 1), "n_features=0"),
        (lambda: MultiVariateGaussian(3), "expected both, or neither"),
        (
            lambda: MultiVariateGaussian(n_patches=3),
            "expected both, or neither",
        ),
        (
            lambda: MultiVariateGaussian().fit(torch.zeros(5, 3, 2)),
            r"expected \(N, d, h, w\)",
        ),
        (
            lambda: MultiVariateGaussian().distance(torch.zeros(1, 3, 2)),
            "before fit",
        ),
        (
            lambda: MultiVariateGaussian(2, 4).fit(torch.zeros(5, 3, 2, 2)),
            "expected",
        ),
        (
            lambda: MultiVariateGaussian(2, 4).fit(torch.zeros(1, 2, 2, 2)),
            "at least 2",
        ),
        (
            lambda: MultiVariateGaussian(2, 4).fit(
                torch.full((3, 2, 2, 2), torch.nan)
            ),
            "not finite",
        ),
        (
            lambda: MultiVariateGaussian(2, 4).fit(
                1e12 * torch.randn(3, 1, 2, 2).expand(3, 2, 2, 2)
            ),
            "cannot tell apart at 4 patches",
        ),
        (
            lambda: MultiVariateGaussian(2, 4).fit(torch.zeros(3, 2, 4)),
            "expected",
        ),
        (lambda: MultiVariateGaussian._cov(torch.zeros(2, 2, 2)), "at most 2"),
        (
            lambda: MultiVariateGaussian._cov(torch.zeros(2, 2), ddof=0.5),
            "whole",
        ),
        (
            lambda: MultiVariateGaussian._cov(
                torch.zeros(3, 2), aweights=torch.ones(2)
            ),
            "3 numbers",
        ),
        (
            lambda: MultiVariateGaussian._cov(
                torch.zeros(2, 2), aweights=torch.tensor([1.0, -1.0])
            ),
            ">= 0",
        ),
        (
            lambda: MultiVariateGaussian._cov(
                torch.zeros(2, 2), aweights=torch.zeros(2)
            ),
            "not all 0",
        ),
        (
            lambda: MultiVariateGaussian(2, 4).fit_moments(
                RunningMoments(3, 4)
            ),
            "expected 2 at 4",
        ),
    ],
)
def test_what_has_no_covariance_is_refused(wrong, match):
    with pytest.raises(InputError, match=match):
        wrong()


def test_a_loaded_inverse_counts_by_its_symmetric_part():
    """Inverses of anomalib are computed in float32 and not quite symmetric."""
    factor = torch.randn(300, 3, 3)
    inverse = factor @ factor.mT + torch.eye(3)
    skew = torch.randn(300, 3, 3) * 0.01
    state = {
        "mean": torch.randn(3, 300),
        "inv_covariance": inverse + skew - skew.mT,
    }
    gaussian = MultiVariateGaussian(3, 300)
    gaussian.load_state_dict(state)
    x = torch.randn(2, 3, 300)
    offset = (x - state["mean"]).double()
    squares = torch.einsum(
        "bip,pij,bjp->bp", offset, state["inv_covariance"].double(), offset
    )
    assert torch.allclose(
        gaussian.distance(x).double(), squares.sqrt(), rtol=1e-5
    )
