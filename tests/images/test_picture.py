"""A picture: its frame, mask and size, from a file or from memory."""

import hashlib

import numpy as np
import pytest
from PIL import Image

from anomedge.errors import InputError
from anomedge.images import Picture, with_levels
from anomedge.resample import Geometry
from anomedge.resample.levels import Levels
from anomedge.resample.outside_resize import OutsideResize
from tests.images.layouts import mask, photo

PIXELS = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


def turned(path, size):
    """A picture (H, W) that EXIF turns by a quarter."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((*size, 3), np.uint8)).save(path, exif=exif)
    return path


def test_pixels_in_memory_come_before_a_file(tmp_path):
    picture = Picture("a", path=tmp_path / "none.png", pixels=PIXELS)
    assert np.array_equal(picture.frame(), PIXELS)
    assert not picture.in_file
    assert picture.stated_size() == (4, 6)


def test_a_frame_is_stretched_or_resized_for_a_graph():
    picture = Picture("a", pixels=PIXELS)
    assert picture.frame((2, 3)).shape == (2, 3, 3)
    outside = OutsideResize(Geometry((8, 8)))
    assert np.array_equal(picture.frame(outside), outside.apply(PIXELS))


def test_a_picture_without_a_source_has_no_frame():
    with pytest.raises(InputError, match="neither pixels nor a path"):
        Picture("a").frame()


def test_given_content_replaces_the_file(tmp_path):
    content = photo(tmp_path / "a.png").read_bytes()
    reads = []
    picture = Picture(
        "a", path=tmp_path / "none.png", read=lambda: reads.append(1) or content
    )
    assert picture.in_file
    assert picture.frame().shape == (96, 128, 3)
    assert picture.stated_size() == (96, 128)
    assert picture.digest == hashlib.sha256(content).hexdigest()
    assert len(reads) == 3


def test_the_digest_is_that_of_the_file_under_any_name(tmp_path):
    path = photo(tmp_path / "a.png")
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    assert Picture("b", path=path).digest == expected
    assert Picture("c", pixels=PIXELS).digest is None


def test_masks_are_known_of_normal_pictures_and_of_files(tmp_path):
    path = mask(tmp_path / "a_mask.png")
    assert not Picture("a", pixels=PIXELS, anomalous=False).mask().any()
    assert Picture("a", pixels=PIXELS, mask_path=path).mask().sum() == 600
    assert Picture("a", pixels=PIXELS).mask() is None
    assert Picture("a", pixels=PIXELS, anomalous=True).mask() is None


def test_the_stated_size_is_upright_and_may_be_required(tmp_path):
    picture = Picture("a", path=turned(tmp_path / "a.png", (4, 6)))
    assert picture.stated_size() == (6, 4)
    assert picture.stated_size((6, 4)) == (6, 4)
    with pytest.raises(InputError, match="got 6x4; expected 8x8"):
        picture.stated_size((8, 8))


@pytest.mark.parametrize(
    ("size", "fits"),
    [((96, 128), True), ((48, 64), True), ((49, 64), True),
     ((51, 64), False), ((128, 96), False)],
)  # fmt: skip
def test_a_mask_has_the_aspect_ratio_of_its_picture(tmp_path, size, fits):
    path = mask(tmp_path / "a_mask.png", size=size, marked=False)
    picture = Picture(
        "a", path=photo(tmp_path / "a.png"), anomalous=True, mask_path=path
    )
    if fits:
        picture.check_mask_shape()
        return
    with pytest.raises(InputError, match="expected the shape of its picture"):
        picture.check_mask_shape()
    # The size of a normal picture's mask does not matter.
    Picture(
        "a", path=picture.path, anomalous=False, mask_path=path
    ).check_mask_shape()


def test_levels_are_given_to_pictures_with_a_file(tmp_path):
    levels = Levels(0, 4095)
    given = [Picture("a", pixels=PIXELS), Picture("b", path=tmp_path / "b.png")]
    in_memory, in_file = with_levels(given, levels)
    assert in_memory is given[0]
    assert in_file.levels == levels
    assert with_levels([in_file], levels)[0] is in_file
    assert with_levels([in_file], None)[0].levels is None
