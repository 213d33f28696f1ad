import numpy as np
import pytest
import torch

from anomedge.components import MultiVariateGaussian, RunningMoments
from anomedge.errors import InputError


def test_cov_is_numpys(float64):
    x = torch.randn(20, 4)
    weights = torch.rand(20)
    for options in ({}, {"bias": True}, {"ddof": 0}, {"ddof": 2}, {"rowvar": True}):
        np.testing.assert_allclose(
            MultiVariateGaussian._cov(x, **options), np.cov(x, **({"rowvar": False} | options)), atol=1e-12
        )
    ours = MultiVariateGaussian._cov(x, aweights=weights)
    np.testing.assert_allclose(ours, np.cov(x, rowvar=False, aweights=weights), atol=1e-12)
    np.testing.assert_allclose(MultiVariateGaussian._cov(x[:, 0]), np.cov(x[:, 0]), atol=1e-12)


def test_forward_returns_mean_and_inverse_covariance(float64):
    x = torch.randn(50, 3, 2, 2) * 5 + 100
    gaussian = MultiVariateGaussian(3, 4)
    mean, inverse = gaussian(x)
    flat = x.reshape(50, 3, 4).numpy()
    np.testing.assert_allclose(mean, flat.mean(axis=0), atol=1e-10)
    for p in range(4):
        expected = np.linalg.inv(np.cov(flat[:, :, p], rowvar=False) + 0.01 * np.eye(3))
        np.testing.assert_allclose(inverse[p], expected, rtol=1e-9)


def test_stream_is_the_whole(float64):
    x = torch.randn(37, 4, 5) + torch.linspace(0, 1e4, 5)
    moments = RunningMoments(4, 5)
    for batch in x.split(8):
        moments.update(batch)
    for p in range(5):
        np.testing.assert_allclose(
            moments.covariance()[p], np.cov(x[:, :, p].numpy(), rowvar=False), rtol=1e-9, atol=1e-9
        )
    np.testing.assert_allclose(moments.mean, x.mean(dim=0).T, rtol=1e-12)


def test_memory_does_not_grow_with_images():
    moments = RunningMoments(3, 4)
    size = {name: value.numel() for name, value in vars(moments).items() if isinstance(value, torch.Tensor)}
    for _ in range(5):
        moments.update(torch.randn(8, 3, 4))
    assert {name: value.numel() for name, value in vars(moments).items() if isinstance(value, torch.Tensor)} == size


def test_loads_the_inverse_covariance_that_others_store(float64):
    fitted = MultiVariateGaussian(3, 2)
    mean, inverse = fitted.fit(torch.randn(20, 3, 1, 2))
    other = MultiVariateGaussian(3, 2)
    other.load_state_dict({"mean": mean, "inv_covariance": inverse})
    x = torch.randn(5, 3, 2)
    torch.testing.assert_close(other.distance(x), fitted.distance(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (lambda: MultiVariateGaussian(0, 1), "at least one"),
        (lambda: MultiVariateGaussian(2, 4).fit(torch.zeros(5, 3, 2, 2)), "expected"),
        (lambda: MultiVariateGaussian(2, 4).fit(torch.zeros(1, 2, 2, 2)), "at least 2"),
        (lambda: MultiVariateGaussian(2, 4).fit(torch.full((3, 2, 2, 2), torch.nan)), "not finite"),
        (lambda: MultiVariateGaussian(2, 4).fit(torch.zeros(3, 2, 4)), "expected"),
        (lambda: MultiVariateGaussian._cov(torch.zeros(2, 2, 2)), "at most 2"),
    ],
)
def test_what_has_no_covariance_is_refused(wrong, match):
    with pytest.raises(InputError, match=match):
        wrong()
