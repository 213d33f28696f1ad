"""The resize outside the graph gives the pixels of eager Torch, in little memory."""

import tracemalloc

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from anomedge.errors import InputError
from anomedge.images import Picture
from anomedge.pipelines.preprocessing import to_images
from anomedge.resample import LARGEST_SIDE, Geometry
from anomedge.resample.outside_resize import (
    OutsideResize,
    generated_size,
    stated_size,
    torch_windows,
)

AXES = [(1, 1), (1, 7), (7, 1), (5, 5), (64, 63), (63, 64), (500, 224), (97, 256), (1080, 256), (2999, 317)]  # fmt: skip


def picture(height, width, seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(("n_in", "n_out"), AXES)
def test_the_weights_are_torchs_in_every_bit(n_in, n_out):
    units = torch.eye(n_in, dtype=torch.float32)
    expected = F.interpolate(
        units[None, None], size=(n_out, n_in), mode="bilinear", antialias=True
    )[0, 0].numpy()
    assert np.array_equal(
        torch_windows(n_in, n_out).apply(np.eye(n_in)), expected
    )


@pytest.mark.parametrize("size", [(1, 1), (31, 200), (64, 72), (72, 80), (300, 45), (480, 640)])  # fmt: skip
@pytest.mark.parametrize(
    "geometry", [Geometry((72, 80), (64, 72)), Geometry((33, 50))]
)
def test_its_pixels_are_eager_torchs(size, geometry):
    frame = picture(*size)
    images = to_images(torch.from_numpy(frame)[None], geometry)
    expected = images[0].permute(1, 2, 0).numpy() * 255
    resized = OutsideResize(geometry).apply(frame)
    assert resized.dtype == np.float32
    assert resized.shape == (*geometry.image, 3)
    assert np.abs(resized - expected).max() < 1e-6 * 255


def test_a_large_picture_takes_little_memory():
    frame = picture(1000, 2000)
    tracemalloc.start()
    OutsideResize(Geometry((32, 32))).apply(frame)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < frame.size  # a whole float32 copy takes four times as much


def test_a_side_longer_than_any_frame_is_refused():
    frame = np.zeros((1, LARGEST_SIDE + 1, 3), np.uint8)
    with pytest.raises(InputError, match="got a frame of"):
        OutsideResize(Geometry((8, 8))).apply(frame)


def test_views_and_reversed_channels_are_taken():
    frame = picture(20, 30)
    resize = OutsideResize(Geometry((8, 8)))
    reversed_twice = frame[..., ::-1].copy()[..., ::-1]
    assert np.array_equal(resize.apply(reversed_twice), resize.apply(frame))


def test_a_picture_is_stretched_or_resized_outside():
    given = Picture("a", pixels=picture(20, 30))
    resize = OutsideResize(Geometry((8, 9)))
    assert given.frame(resize).shape == (8, 9, 3)
    assert given.frame((10, 11)).dtype == np.uint8
    assert stated_size((10, 11)) == generated_size((10, 11)) == (10, 11)
    assert stated_size(resize) is None
    assert generated_size(OutsideResize(Geometry((LARGEST_SIDE, 2)))) == (
        LARGEST_SIDE,
        3,
    )
