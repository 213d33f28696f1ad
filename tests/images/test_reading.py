import numpy as np
import pytest
from PIL import Image

from anomedge.errors import InputError
from anomedge.images import (
    checks,
    list_pictures,
    read_folder,
    read_folders,
    read_picture,
)
from anomedge.resample import LARGEST_PIXELS, check_frame


def gradient(shape=(6, 9)):
    return np.arange(shape[0] * shape[1] * 3, dtype=np.uint8).reshape(*shape, 3)


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


def test_folders_are_listed_in_order_and_labelled_by_layout(tmp_path):
    for name in (
        "test/good/b.png",
        "test/good/a.PNG",
        "test/scratch/a.png",
        "test/good/.hidden.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(gradient()).save(tmp_path / name)
    (tmp_path / "ground_truth/scratch").mkdir(parents=True)
    mask = np.zeros((6, 9), np.uint8)
    mask[2:4] = 255
    Image.fromarray(mask).save(tmp_path / "ground_truth/scratch/a_mask.png")
    (tmp_path / "test/readme.txt").write_text("no picture")
    for folder in (tmp_path, tmp_path / "test"):
        found = read_folder(folder)
        assert [p.name for p in found] == [
            "good/a.PNG",
            "good/b.png",
            "scratch/a.png",
        ]
        assert [p.anomalous for p in found] == [False, False, True]
        assert found[0].mask().sum() == 0
        np.testing.assert_array_equal(found[2].mask(), mask > 0)
    assert [p.anomalous for p in read_folder(tmp_path / "test" / "good")] == [
        None,
        None,
    ]
    twice = read_folders(
        [tmp_path / "test" / "good", tmp_path / "test" / "scratch"]
    )
    assert [p.name for p in twice] == [
        "1-good/a.PNG",
        "1-good/b.png",
        "2-scratch/a.png",
    ]


def test_empty_folders_are_refused(tmp_path):
    with pytest.raises(InputError, match="holds no picture"):
        list_pictures(tmp_path)
    with pytest.raises(InputError, match="expected a folder"):
        list_pictures(tmp_path / "missing")


def test_only_pictures_are_opened_whatever_a_file_is_called(tmp_path):
    """Pillow's reader of EPS would start Ghostscript."""
    (tmp_path / "a.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    )
    Image.fromarray(gradient()).save(tmp_path / "b.png", format="PPM")
    for name in ("a.png", "b.png"):
        with pytest.raises(InputError, match="cannot be read as a picture"):
            read_picture(tmp_path / name)
