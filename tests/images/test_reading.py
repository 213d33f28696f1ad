import os
import struct
import time

import numpy as np
import pytest
from PIL import Image

from anomedge.errors import InputError
from anomedge.images import checks, read_picture
from anomedge.resample import LARGEST_PIXELS, check_frame
from tests.images.folders import gradient


def test_rgb_comes_back_as_it_was(tmp_path):
    Image.fromarray(gradient()).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), gradient())


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK"])
def test_other_eight_bit_modes_become_rgb(tmp_path, mode):
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    Image.fromarray(gradient()).convert(mode).save(path)
    frame = read_picture(path)
    assert frame.shape == (6, 9, 3)
    assert frame.dtype == np.uint8


def test_alpha_is_dropped(tmp_path):
    pixels = np.dstack([gradient(), np.zeros((6, 9), np.uint8)])
    Image.fromarray(pixels).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), gradient())


def test_exif_rotation_is_applied(tmp_path):
    image = Image.fromarray(gradient())
    exif = image.getexif()
    exif[0x0112] = 6  # turned by a quarter
    image.save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(
        read_picture(tmp_path / "a.png"), np.rot90(gradient(), -1)
    )


def test_sixteen_bits_are_refused(tmp_path):
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="8 bits"):
        read_picture(tmp_path / "a.png")


def test_sixteen_bits_of_colour_are_refused_though_pillow_opens_them(tmp_path):
    import struct
    import zlib

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data))
            + kind
            + data
            + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x12\x34" * 6) * 2)
    data = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", rows)
        + chunk(b"IEND", b"")
    )
    (tmp_path / "a.png").write_bytes(data)
    with Image.open(tmp_path / "a.png") as opened:
        assert opened.mode == "RGB"
    with pytest.raises(InputError, match="got 16 bits a channel"):
        read_picture(tmp_path / "a.png")


def test_animations_are_refused(tmp_path):
    frames = [Image.fromarray(gradient()), Image.fromarray(255 - gradient())]
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match="2 frames"):
        read_picture(tmp_path / "a.tif")


def test_bombs_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    Image.fromarray(gradient((64, 64))).save(path)
    monkeypatch.setattr(checks, "LARGEST_PIXELS", 64 * 64)
    assert read_picture(path).shape == (64, 64, 3)
    for name, limit in (("LARGEST_PIXELS", 4095), ("LARGEST_SIDE", 63)):
        with monkeypatch.context() as patched:
            patched.setattr(checks, name, limit)
            with pytest.raises(InputError, match=r"got 64x64; .*scale it down"):
                read_picture(path)
    # Pillow raises above twice its own limit, which an application may lower.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(InputError, match="scale it down"):
        read_picture(path)


def test_pictures_and_frames_have_one_limit():
    assert LARGEST_PIXELS == 2 * Image.MAX_IMAGE_PIXELS
    check_frame((16384, LARGEST_PIXELS // 16384))
    with pytest.raises(InputError, match="at most 178,956,970 pixels"):
        check_frame((16384, LARGEST_PIXELS // 16384 + 1))


def test_truncated_and_foreign_files_are_refused(tmp_path):
    Image.fromarray(gradient((64, 64))).save(tmp_path / "whole.png")
    data = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "half.png").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.png").write_text("no picture")
    for name in ("half.png", "text.png", "missing.png"):
        with pytest.raises(InputError, match="cannot be read"):
            read_picture(tmp_path / name)


def test_only_pictures_are_opened_whatever_a_file_is_called(tmp_path):
    """Pillow's reader of EPS would start Ghostscript."""
    (tmp_path / "a.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    )
    Image.fromarray(gradient()).save(tmp_path / "b.png", format="PPM")
    for name in ("a.png", "b.png"):
        with pytest.raises(InputError, match="cannot be read as a picture"):
            read_picture(tmp_path / name)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_plain_file_is_refused_at_once(tmp_path, kind):
    path = tmp_path / "a.png"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    start = time.monotonic()
    with pytest.raises(InputError, match=r"a\.png"):
        read_picture(path)
    assert time.monotonic() - start < 2


def tiff_of(directories: int) -> bytes:
    """A TIFF with so many directories, each an image of one grey pixel."""
    tags = {
        256: 1,
        257: 1,
        258: 8,
        259: 1,
        262: 1,
        273: 8,
        277: 1,
        278: 1,
        279: 1,
    }
    entries = b"".join(
        struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items()
    )
    size = 2 + len(entries) + 4
    first = 12
    parts = [b"II*\0", struct.pack("<I", first), b"\x80\0\0\0"]
    for number in range(1, directories + 1):
        following = first + number * size if number < directories else 0
        parts.append(
            struct.pack("<H", len(tags))
            + entries
            + struct.pack("<I", following)
        )
    return b"".join(parts)


def test_a_tiff_of_sixty_thousand_directories_is_refused_at_once(tmp_path):
    (tmp_path / "one.tif").write_bytes(tiff_of(1))
    assert read_picture(tmp_path / "one.tif").tolist() == [[[128, 128, 128]]]
    (tmp_path / "many.tif").write_bytes(tiff_of(60_000))
    start = time.monotonic()
    with pytest.raises(InputError, match="got 100 or more frames in one file"):
        read_picture(tmp_path / "many.tif")
    assert time.monotonic() - start < 5
