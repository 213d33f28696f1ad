import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from anomedge.errors import InputError
from anomedge.resample import (
    Geometry,
    Region,
    Tiling,
    bands,
    between_corners,
    bicubic,
    bilinear,
    crop,
    gaussian_blur,
    gaussian_kernel,
    nearest,
)

SIZES = [
    (480, 256),
    (1080, 256),
    (32, 256),
    (7, 19),
    (19, 7),
    (5, 5),
    (3, 8),
    (300, 299),
    (17, 1),
    (1, 5),
]


@pytest.mark.parametrize(("n_in", "n_out"), SIZES)
@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize(
    ("matrix", "mode"), [(bilinear, "bilinear"), (bicubic, "bicubic")]
)
def test_interpolation_is_torchs(n_in, n_out, antialias, matrix, mode):
    x = torch.rand(1, 1, n_in, 3, dtype=torch.float64)
    expected = F.interpolate(
        x, size=(n_out, 3), mode=mode, antialias=antialias, align_corners=False
    )
    produced = torch.from_numpy(matrix(n_in, n_out, antialias=antialias)) @ x
    torch.testing.assert_close(produced, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("n_in", "n_out"), SIZES)
def test_interpolation_between_corners_is_torchs(n_in, n_out):
    x = torch.rand(1, 1, n_in, 3, dtype=torch.float64)
    expected = F.interpolate(
        x, size=(n_out, 3), mode="bilinear", align_corners=True
    )
    produced = torch.from_numpy(between_corners(n_in, n_out)) @ x
    torch.testing.assert_close(produced, expected, rtol=0, atol=1e-12)


@given(st.integers(1, 300), st.integers(1, 300))
@settings(max_examples=200, deadline=None)
def test_nearest_is_torchs(n_in, n_out):
    source = torch.arange(n_in, dtype=torch.float64).reshape(1, 1, n_in)
    expected = (
        F.interpolate(source, size=n_out, mode="nearest")
        .flatten()
        .long()
        .numpy()
    )
    np.testing.assert_array_equal(nearest(n_in, n_out), expected)


@given(
    st.integers(1, 200), st.integers(1, 200), st.integers(1, 20), st.booleans()
)
@settings(max_examples=100, deadline=None)
def test_rows_sum_to_one_and_bands_hold_the_matrix(
    n_in, n_out, block, antialias
):
    for matrix in (
        bilinear(n_in, n_out, antialias=antialias),
        bicubic(n_in, n_out, antialias=antialias),
    ):
        np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-12)
        indices, weights = bands(matrix, block)
        dense = np.zeros((*weights.shape[:2], n_in))
        np.put_along_axis(
            dense,
            np.broadcast_to(indices[:, None], weights.shape),
            weights,
            axis=2,
        )
        np.testing.assert_array_equal(dense.reshape(-1, n_in)[:n_out], matrix)
        assert not dense.reshape(-1, n_in)[n_out:].any()


@pytest.mark.parametrize(
    ("n", "size", "sigma"), [(20, 33, 4.0), (64, 9, 1.5), (17, 33, 4.0)]
)
def test_blur_is_convolution_after_reflection(n, size, sigma):
    x = torch.rand(1, 1, n, dtype=torch.float64)
    kernel = torch.from_numpy(gaussian_kernel(size, sigma)).reshape(1, 1, -1)
    expected = F.conv1d(
        F.pad(x, (size // 2, size // 2), mode="reflect"), kernel
    )
    np.testing.assert_allclose(
        gaussian_blur(n, size, sigma) @ x[0, 0].numpy(),
        expected[0, 0].numpy(),
        atol=1e-14,
    )


def test_upsampling_and_blur_compose():
    x = np.random.default_rng(0).random(8)
    one_by_one = gaussian_blur(64, 33, 4.0) @ (bilinear(8, 64) @ x)
    np.testing.assert_allclose(
        (gaussian_blur(64, 33, 4.0) @ bilinear(8, 64)) @ x,
        one_by_one,
        atol=1e-14,
    )


def test_crop_is_torchvisions():
    from torchvision.transforms.functional import center_crop

    for n_in in range(1, 20):
        for n_out in range(1, n_in + 1):
            x = torch.arange(n_in, dtype=torch.float64).reshape(1, 1, n_in)
            np.testing.assert_array_equal(
                crop(n_in, n_out) @ np.arange(n_in),
                center_crop(x, [1, n_out]).flatten(),
            )


def test_window_is_where_the_crop_came_from():
    assert Geometry((256, 256), (224, 128)).window((512, 512)) == (
        32.0,
        128.0,
        480.0,
        384.0,
    )
    assert Geometry((256, 256)).window((480, 640)) == (0.0, 0.0, 480.0, 640.0)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: bilinear(0, 4),
        lambda: crop(4, 5),
        lambda: gaussian_blur(16, 33, 4.0),
        lambda: gaussian_kernel(4, 1.0),
        lambda: gaussian_kernel(5, 0.0),
        lambda: Geometry((0, 5)),
        lambda: Geometry((8, 8), (9, 8)),
        lambda: Geometry((8, 100000)),
    ],
)
def test_sizes_that_cannot_be_are_refused(wrong):
    with pytest.raises(InputError, match="expected"):
        wrong()


def test_matrices_of_a_region_select_it():
    geometry = Geometry((6, 8), (4, 8), Region(0.25, 0.5, 0.75, 1.0))
    assert (geometry.box((16, 20)), geometry.part((16, 20))) == (
        (4, 10, 12, 20),
        (8, 10),
    )
    rows, columns = geometry.matrices((16, 20))
    frame = np.random.default_rng(0).random((16, 20))
    inner = Geometry((6, 8), (4, 8)).matrices((8, 10))
    expected = inner[0] @ frame[4:12, 10:] @ inner[1].T
    np.testing.assert_allclose(rows @ frame @ columns.T, expected, atol=1e-12)
    window = geometry.window((16, 20))
    np.testing.assert_allclose(window, (4 + 8 / 6, 10, 12 - 8 / 6, 20))
    assert geometry.pixel_window((16, 20)) == (5, 10, 11, 20)
    assert geometry.pixel_window((1, 1)) == (0, 0, 1, 1)


@pytest.mark.parametrize(
    "region",
    [(0, 0, 0, 1), (0.5, 0, 0.4, 1), (0, 0, 1, 1.1), (0, float("nan"), 1, 1)],
)
def test_regions_out_of_range_are_refused(region):
    with pytest.raises(InputError, match="fractions from 0 to 1"):
        Geometry((8, 8), region=Region(*region))


def test_tiles_without_neighbours_share_nothing():
    assert Geometry((8, 8)).shared is None
    assert Geometry((8, 8), tiling=Tiling((8, 8), 2)).shared is None
    assert Geometry((8, 9), tiling=Tiling((8, 8), 2)).shared == 7
