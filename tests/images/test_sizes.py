"""Sizes of pictures are read from headers, and said where they vary."""

import numpy as np
import pytest
from PIL import Image

from anomedge.images import Picture
from anomedge.images.sizes import sizes_of


def picture(folder, name, height, width, orientation=None):
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    path = folder / name
    Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(
        path, exif=exif
    )
    return Picture(name, path=path)


def test_equal_sizes_do_not_vary(tmp_path):
    sizes = sizes_of(picture(tmp_path, f"{i}.png", 8, 9) for i in range(3))
    assert sizes.all == ((8, 9),)
    assert not sizes.vary


def test_sizes_are_counted_from_the_smallest_to_the_largest(tmp_path):
    shapes = [(30, 20), (8, 9), (10, 11), (8, 9)]
    sizes = sizes_of(
        picture(tmp_path, f"{i}.png", *shape) for i, shape in enumerate(shapes)
    )
    assert sizes.vary
    assert str(sizes) == "3 sizes, 8x9 to 30x20"
    assert sizes.distortion == "width/height from 0.67 to 1.12"


def test_one_aspect_ratio_does_not_distort(tmp_path):
    sizes = sizes_of(
        picture(tmp_path, f"{n}.png", 3 * n, 4 * n) for n in (5, 9)
    )
    assert sizes.vary
    assert sizes.distortion == ""


def test_a_rotated_picture_counts_in_its_upright_size(tmp_path):
    sizes = sizes_of([picture(tmp_path, "a.jpg", 8, 16, orientation=6)])
    assert sizes.all == ((16, 8),)


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_unreadable_files_and_pictures_in_memory_are_left_out(
    tmp_path, content
):
    (tmp_path / "a.png").write_bytes(content)
    unreadable = Picture("a", path=tmp_path / "a.png")
    in_memory = Picture("b", pixels=np.zeros((4, 4, 3), np.uint8))
    sizes = sizes_of([unreadable, in_memory])
    assert sizes.all == ()
    assert not sizes.vary
