"""Regions of interest: their forms, their place in the geometry, and what is refused."""

import numpy as np
import pytest
from PIL import Image

from anomedge.errors import InputError
from anomedge.images import (
    Picture,
    PixelRectangle,
    parse_region,
    place_region,
)
from anomedge.resample import Geometry, Region


def picture(height, width, name="a"):
    return Picture(name, pixels=np.zeros((height, width, 3), np.uint8))


def mask_file(path, inside):
    Image.fromarray(np.asarray(inside, np.uint8) * 255).save(path)
    return path


def test_numbers_with_a_point_are_fractions():
    assert parse_region("0.5,0.25,0.5,0.75") == Region(0.25, 0.5, 1.0, 1.0)
    assert parse_region("1, 2,30,40") == PixelRectangle(1, 2, 30, 40)
    assert parse_region("0.1,0.2,0.9,0.8") == Region(0.2, 0.1, 1.0, 1.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,3", "expected x,y,w,h in pixels"),
        ("nothing.png", "or a mask picture"),
        ("1,2,0,4", "without an area"),
        ("0,0,1,1", "write fractions with a decimal point"),
        ("0.5,0.5,0.6,0.1", "leave out the decimal points"),
        ("-1,0,5,5", "expected x,y,w,h"),
        ("nan,0,5,5", "expected x,y,w,h"),
    ],
)
def test_other_forms_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_region(text)


def test_pixels_become_fractions_of_the_common_size():
    placed = place_region(
        Geometry((8, 8)), PixelRectangle(10, 5, 20, 30), [picture(50, 40)] * 2
    )
    assert placed.inside is None
    assert placed.geometry.region == Region(0.1, 0.25, 0.7, 0.75)
    assert placed.geometry.box((50, 40)) == (5, 10, 35, 30)
    assert placed.geometry.box((100, 80)) == (10, 20, 70, 60)


def test_pixels_need_one_size_and_fractions_do_not():
    sizes = [picture(50, 40), picture(60, 40, "b")]
    with pytest.raises(InputError, match=r"b 60x40.*give the region in frac"):
        place_region(Geometry((8, 8)), PixelRectangle(0, 0, 9, 9), sizes)
    fractions = Region(0.0, 0.0, 0.5, 0.5)
    placed = place_region(Geometry((8, 8)), fractions, sizes)
    assert placed.geometry.region == fractions


def test_a_rectangle_beyond_the_pictures_is_refused():
    with pytest.raises(InputError, match="within the pictures of 40 x 50"):
        place_region(
            Geometry((8, 8)), PixelRectangle(30, 0, 11, 5), [picture(50, 40)]
        )


def test_a_mask_gives_its_bounding_rectangle_and_its_shape(tmp_path):
    mask = np.zeros((16, 16), bool)
    mask[4:12, 2:10] = True
    mask[4:8, 2:6] = False
    placed = place_region(
        Geometry((8, 8)), mask_file(tmp_path / "m.png", mask), [picture(16, 16)]
    )
    assert placed.geometry.region == Region(0.25, 0.125, 0.75, 0.625)
    np.testing.assert_array_equal(placed.inside, mask[4:12, 2:10])


def test_a_mask_of_a_rectangle_is_a_rectangle(tmp_path):
    mask = np.zeros((16, 16), bool)
    mask[4:12, 2:10] = True
    path = mask_file(tmp_path / "m.png", mask)
    assert (
        place_region(Geometry((8, 8)), path, [picture(16, 16)]).inside is None
    )


def test_a_photograph_and_a_picture_of_the_fit_are_no_masks(tmp_path):
    ramp = np.tile(np.arange(0, 200, 5, dtype=np.uint8), (50, 1))
    Image.fromarray(ramp).save(tmp_path / "photo.png")
    with pytest.raises(InputError, match="other colours than black and white"):
        place_region(
            Geometry((8, 8)), tmp_path / "photo.png", [picture(50, 40)]
        )
    inside = np.zeros((50, 40), bool)
    inside[10:20, 5:30] = True
    path = mask_file(tmp_path / "mask.png", inside)
    with pytest.raises(InputError, match="lies among the pictures of the fit"):
        place_region(Geometry((8, 8)), path, [Picture("mask", path=path)])


def test_masks_that_cannot_be_used_are_refused(tmp_path):
    empty = mask_file(tmp_path / "empty.png", np.zeros((16, 16), bool))
    with pytest.raises(InputError, match="without a white pixel"):
        place_region(Geometry((8, 8)), empty, [picture(16, 16)])
    with pytest.raises(InputError, match="got a mask of 16x16; expected 16x20"):
        place_region(Geometry((8, 8)), empty, [picture(16, 20)])
    corners = np.zeros((64, 64), bool)
    corners[0, 0] = corners[63, 63] = True
    thin = mask_file(tmp_path / "thin.png", corners)
    with pytest.raises(InputError, match="covers no pixel"):
        place_region(Geometry((8, 8)), thin, [picture(64, 64)])
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(InputError, match="cannot be read"):
        place_region(Geometry((8, 8)), tmp_path / "text.png", [picture(16, 16)])


def test_sizes_are_read_from_headers_and_rotated(tmp_path):
    image = Image.fromarray(np.zeros((20, 10, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.jpg", exif=exif)
    turned = Picture("turned.jpg", path=tmp_path / "turned.jpg")
    placed = place_region(
        Geometry((8, 8)), PixelRectangle(0, 0, 20, 5), [turned]
    )
    assert placed.geometry.region == Region(0.0, 0.0, 0.5, 1.0)
