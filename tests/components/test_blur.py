import pytest
import torch

from anomedge.components import GaussianBlur2d
from anomedge.errors import InputError


def test_pairs_borders_and_padding():
    x = torch.rand(2, 3, 16, 20)
    assert GaussianBlur2d((3, 5), (1.0, 2.0), 3)(x).shape == x.shape
    assert GaussianBlur2d((3, 5), 1.0, 3, padding="valid")(x).shape == (
        2,
        3,
        14,
        16,
    )
    zero = GaussianBlur2d(5, 1.0, 3, border_type="constant")(torch.ones_like(x))
    assert zero[0, 0, 0, 0] < 0.5 < zero[0, 0, 8, 8]
    for border in ("reflect", "replicate", "circular"):
        torch.testing.assert_close(
            GaussianBlur2d(5, 1.0, 3, border_type=border)(torch.ones_like(x)),
            torch.ones_like(x),
        )


def test_an_integer_is_a_square_and_a_pair_what_it_says():
    x = torch.rand(1, 2, 9, 11)
    assert torch.equal(
        GaussianBlur2d(5, 2, 2)(x), GaussianBlur2d((5, 5), [2.0, 2.0], 2)(x)
    )
    assert GaussianBlur2d([5, 3], 1.0, 2).kernel.shape == (2, 1, 5, 3)
    smallest = torch.rand(1, 1, 3, 2)
    assert GaussianBlur2d((5, 3), 1.0, 1)(smallest).shape == smallest.shape


def test_unnormalised_peak_is_one():
    assert GaussianBlur2d(5, 1.0, 1, normalize=False).kernel.max() == 1


@pytest.mark.parametrize(
    ("theirs", "meant"),
    [
        (((1.5,), {}), (13, 1.5, 1)),
        (((3.0,), {}), (25, 3.0, 1)),
        (((1.5, 3), {}), (13, 1.5, 3)),
        (((3, 2), {}), (25, 3.0, 2)),
        (((1.5, 3, 5), {}), (5, 1.5, 3)),
        (((2.0, 3, 5), {}), (5, 2.0, 3)),
        (((4, 3, 5), {}), (5, 4.0, 3)),
        (((1.5, 3, None), {}), (13, 1.5, 3)),
        ((((1.5, 0.5), 3, (5, 3)), {}), ((5, 3), (1.5, 0.5), 3)),
        (((3.0,), {"kernel_size": 5}), (5, 3.0, 1)),
        (((3.0, 2), {"kernel_size": 5}), (5, 3.0, 2)),
        (((), {"sigma": 1.5}), (13, 1.5, 1)),
        (((), {"sigma": (1.5, 0.5), "channels": 2}), ((13, 5), (1.5, 0.5), 2)),
        (((5, 3, 2, False, "constant"), {}), None),
        (((3, 3, 3), {}), (3, 3.0, 3)),
    ],
)
def test_arguments_in_anomalibs_order_mean_the_same(theirs, meant):
    """Its (sigma, channels=1, kernel_size=None); the last two calls are ours, or the same in both."""
    blur = GaussianBlur2d(*theirs[0], **theirs[1])
    if meant is None:
        assert (
            blur.channels,
            blur.height,
            blur.border_type,
            float(blur.kernel.max()),
        ) == (2, 5, "constant", 1.0)
    else:
        kernel_size, sigma, channels = meant
        expected = GaussianBlur2d(
            kernel_size=kernel_size, sigma=sigma, channels=channels
        )
        assert torch.equal(blur.kernel, expected.kernel)


@pytest.mark.parametrize("given", [(3.0, 1, 5), (3, 1, 5), ((3.0, 5.0), 1, 5)])
def test_arguments_that_mean_two_blurs_are_refused_naming_both(given):
    with pytest.raises(InputError) as caught:
        GaussianBlur2d(*given)
    said = str(caught.value)
    assert "(kernel_size, sigma, channels), a kernel of 3x" in said
    assert (
        "(sigma, channels, kernel_size) of anomalib 2, a kernel of 5x5" in said
    )
    assert "5 channels" in said
    assert "1 channels" in said
    assert "\n" not in said


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: GaussianBlur2d(4, 1.0, 1),
        lambda: GaussianBlur2d(3, 0.0, 1),
        lambda: GaussianBlur2d(3, 1.0, 0),
        lambda: GaussianBlur2d(3, 1.0, 1, border_type="mirror"),
        lambda: GaussianBlur2d(3, 1.0, 1, padding="full"),
        lambda: GaussianBlur2d(3, 1.0, 2)(torch.zeros(1, 3, 8, 8)),
        lambda: GaussianBlur2d(3, 1.0, 2)(torch.zeros(2, 8, 8)),
        lambda: GaussianBlur2d((3, 3, 3), 1.0, 2),
        lambda: GaussianBlur2d(3.5, 1.0, 2),
        lambda: GaussianBlur2d(),
        lambda: GaussianBlur2d(kernel_size=3, channels=1),
        lambda: GaussianBlur2d(3, 1.0, 1, sigmas=2),
        lambda: GaussianBlur2d(float("nan"), 1.0, 1),
        lambda: GaussianBlur2d(3, float("nan"), 1),
        lambda: GaussianBlur2d("3", 1.0, 1),
        lambda: GaussianBlur2d(9, 1.0, 1)(torch.zeros(1, 1, 4, 8)),
        lambda: GaussianBlur2d(9, 1.0, 1, padding="valid")(
            torch.zeros(1, 1, 8, 9)
        ),
        lambda: GaussianBlur2d(9, 1.0, 1, border_type="circular")(
            torch.zeros(1, 1, 3, 9)
        ),
    ],
)
def test_what_is_no_blur_is_refused(wrong):
    with pytest.raises(InputError, match="expected"):
        wrong()
