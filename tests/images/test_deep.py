"""Pictures of 9 to 16 bits per channel, read with levels."""

import numpy as np
import pytest
from PIL import Image

from anomedge.errors import InputError
from anomedge.images import read_picture
from tests.images.deep_pictures import LEVELS, save_deep


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
def test_deep_pictures_become_frames(tmp_path, suffix, shape):
    eight = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    path = tmp_path / f"a{suffix}"
    save_deep(path, 16 * eight.astype(np.uint16))
    expected = eight if eight.ndim == 3 else np.stack([eight] * 3, axis=2)
    assert np.array_equal(read_picture(path, levels=LEVELS), expected)
    assert read_picture(path, path.read_bytes(), levels=LEVELS).shape[2] == 3


def test_big_endian_grey_and_alpha_are_read(tmp_path):
    cv2 = pytest.importorskip("cv2")
    grey = 16 * np.arange(20, dtype=np.uint16).reshape(4, 5)
    Image.frombytes("I;16B", (5, 4), grey.astype(">u2").tobytes()).save(
        tmp_path / "b.tif"
    )
    frame = read_picture(tmp_path / "b.tif", levels=LEVELS)
    assert np.array_equal(frame[..., 0], grey // 16)
    cv2.imwrite(str(tmp_path / "a.png"), np.dstack([grey] * 4))
    frame = read_picture(tmp_path / "a.png", levels=LEVELS)
    assert np.array_equal(frame[..., 2], grey // 16)


def test_exif_turns_grey_pictures(tmp_path):
    grey = 16 * np.arange(20, dtype=np.uint16).reshape(4, 5)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(grey).save(tmp_path / "a.png", exif=exif)
    frame = read_picture(tmp_path / "a.png", levels=LEVELS)
    assert np.array_equal(frame[..., 0], np.rot90(grey // 16, -1))


def test_without_levels_the_refusal_names_option_and_range(tmp_path):
    save_deep(tmp_path / "a.png", np.array([[80, 4012]], np.uint16))
    message = "values 80 to 4012; .*fit with --levels LOW HIGH, such as --levels 0 4095"
    with pytest.raises(InputError, match=message):
        read_picture(tmp_path / "a.png")


def test_eight_bits_with_levels_are_refused(tmp_path):
    Image.new("RGB", (3, 3)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="expected 9 to 16"):
        read_picture(tmp_path / "a.png", levels=LEVELS)


def test_thirty_two_bits_are_refused_with_levels(tmp_path):
    Image.fromarray(np.zeros((3, 3), np.int32)).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match="got 32 bits a channel"):
        read_picture(tmp_path / "a.tif", levels=LEVELS)


def test_damaged_colour_is_refused(tmp_path):
    noise = np.random.default_rng(0).integers(0, 65536, (64, 64, 3))
    save_deep(tmp_path / "a.png", noise.astype(np.uint16))
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="cannot be read"):
        read_picture(tmp_path / "a.png", levels=LEVELS)


def test_colour_without_opencv_names_the_extra(tmp_path, monkeypatch):
    save_deep(tmp_path / "a.png", np.zeros((3, 3, 3), np.uint16))
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(InputError, match=r"pip install '\.\[camera\]'"):
        read_picture(tmp_path / "a.png", levels=LEVELS)
