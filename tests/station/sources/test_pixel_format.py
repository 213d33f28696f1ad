"""Raw frames of every pixel format, and the rule of levels."""

import numpy as np
import pytest

from anomedge.errors import InputError
from anomedge.resample.levels import Levels
from anomedge.station.sources._pixel_format import PIXEL_FORMATS, RawFormat

HEIGHT, WIDTH = 4, 6
LEVELS = Levels(100, 3000)


def raw(name, levels=None, row_alignment=1):
    return RawFormat(WIDTH, HEIGHT, PIXEL_FORMATS[name], levels, row_alignment)


def picture():
    return np.random.default_rng(1).integers(
        0, 256, (HEIGHT, WIDTH, 3), np.uint8
    )


def as_bytes(values):
    return np.frombuffer(values.tobytes(), np.uint8)


def test_rgb_bgr_and_grey():
    rgb = picture()
    assert np.array_equal(raw("rgb").decode(as_bytes(rgb)), rgb)
    swapped = np.ascontiguousarray(rgb[..., ::-1])
    assert np.array_equal(raw("bgr").decode(as_bytes(swapped)), rgb)
    grey = rgb[..., 0]
    found = raw("grey").decode(as_bytes(grey))
    assert np.array_equal(found, np.stack([grey] * 3, axis=2))


def test_padding_of_rows_is_dropped():
    rgb = picture()
    layout = raw("rgb", row_alignment=4)
    assert (layout.row_size, layout.size) == (20, 80)
    padded = np.full((HEIGHT, 20), 77, np.uint8)
    padded[:, :18] = rgb.reshape(HEIGHT, 18)
    assert np.array_equal(layout.decode(padded.reshape(-1)), rgb)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("mono12", "<u2"), ("mono16", "<u2"), ("mono16be", ">u2")],
)
def test_deep_grey_goes_through_the_levels(name, dtype):
    values = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) * 170
    found = raw(name, LEVELS).decode(as_bytes(values.astype(dtype)))
    share = np.clip((values - 100) / 2900, 0, 1)
    assert np.array_equal(found[..., 0], np.rint(255 * share))
    assert np.array_equal(found, np.repeat(found[..., :1], 3, axis=2))


def test_a_deep_mosaic_is_interpolated_before_the_levels():
    """Interpolation after rounding to 8 bits would give other values."""
    from anomedge.station.sources._bayer import demosaic

    values = np.random.default_rng(2).integers(0, 4096, (HEIGHT, WIDTH))
    values = values.astype(np.uint16)
    found = raw("bayer_grbg12", LEVELS).decode(as_bytes(values))
    deep = demosaic(values, "grbg")
    assert np.array_equal(found, LEVELS.apply(deep))
    assert not np.array_equal(found, demosaic(LEVELS.apply(values), "grbg"))


def test_without_levels_deep_formats_are_refused_and_with_them_8_bits():
    with pytest.raises(InputError, match=r"--levels 0 4095, or convert"):
        raw("mono12")
    with pytest.raises(InputError, match=r"--levels 0 65535"):
        raw("bayer_rggb16")
    with pytest.raises(InputError, match=r"grey, 8 bits .* 100 to 3000"):
        raw("grey", LEVELS)


def test_values_beyond_the_stated_bits_are_refused():
    values = np.full((HEIGHT, WIDTH), 4095, "<u2")
    assert raw("mono12", LEVELS).decode(as_bytes(values)).min() == 255
    values[2, 3] = 4096
    with pytest.raises(InputError, match=r"got the value 4096; .* most 4095"):
        raw("mono12", LEVELS).decode(as_bytes(values))


@pytest.mark.parametrize(
    ("width", "height", "name"),
    [(0, 4, "rgb"), (4, 10**6, "rgb"), (1, 4, "bayer_rggb")],
)
def test_impossible_sizes_are_refused(width, height, name):
    with pytest.raises(InputError, match=f"raw frames of {width}x{height}"):
        RawFormat(width, height, PIXEL_FORMATS[name])


@pytest.mark.parametrize("name", PIXEL_FORMATS)
def test_every_format_gives_frames_of_its_size(name):
    deep = PIXEL_FORMATS[name].bits > 8
    layout = raw(name, LEVELS if deep else None)
    content = np.zeros(layout.size, np.uint8)
    found = layout.decode(content)
    assert (found.shape, found.dtype) == ((HEIGHT, WIDTH, 3), np.uint8)
    assert found.flags.c_contiguous
