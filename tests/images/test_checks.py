"""Small files that would take minutes or much memory to decode are refused before that."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from anomedge.errors import InputError
from anomedge.images import SUFFIXES, check_picture, read_picture
from anomedge.images.checks import refuse_many_scans

NOISE = np.random.default_rng(0).integers(0, 256, (64, 96, 3)).astype(np.uint8)


def saved(path, **options):
    Image.fromarray(NOISE).save(path, **options)
    return path


@pytest.fixture
def undecoded(monkeypatch):
    """Fail the test where a picture is decoded."""

    def fail(*_):
        raise AssertionError("decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)


def progressive(path, scans):
    """A progressive JPEG whose last scan is repeated until it has this many."""
    content = saved(path, progressive=True).read_bytes()
    first, last = content.index(b"\xff\xda"), content.rindex(b"\xff\xda")
    own = content[first:].count(b"\xff\xda")
    repeated = content[last:-2] * (scans - own)
    path.write_bytes(content[:-2] + repeated + content[-2:])
    return path


def test_a_jpeg_of_many_scans_is_refused_undecoded(tmp_path, undecoded):
    with pytest.raises(
        InputError, match=r"more than 200 scans .*save it again$"
    ):
        read_picture(progressive(tmp_path / "x.jpg", 201))


def test_a_jpeg_of_200_scans_is_read(tmp_path):
    assert (
        read_picture(progressive(tmp_path / "x.jpg", 200)).shape == NOISE.shape
    )


def test_content_in_memory_is_held_to_the_same_bound(tmp_path):
    content = progressive(tmp_path / "x.jpg", 201).read_bytes()
    with pytest.raises(InputError, match="200 scans"):
        read_picture(Path("golden.jpg"), content)


def test_a_jpeg_of_endless_segments_is_refused():
    with pytest.raises(InputError, match="20,000 segments"):
        refuse_many_scans(
            io.BytesIO(b"\xff\xd8" + b"\xff\xe1\x00\x02" * 20_001),
            Path("x.jpg"),
        )


@pytest.mark.parametrize(
    "gap", [65_531, 65_532, 65_533, 65_534, 65_535, 65_536]
)
def test_scans_are_counted_across_blocks(gap):
    """A marker may begin in one block of the file and end in the next."""
    scan = b"\xff\xda\x00\x02" + bytes(gap)
    refuse_many_scans(
        io.BytesIO(b"\xff\xd8" + scan * 200 + b"\xff\xd9" + scan), Path("x.jpg")
    )
    with pytest.raises(InputError, match="200 scans"):
        refuse_many_scans(io.BytesIO(b"\xff\xd8" + scan * 201), Path("x.jpg"))


def test_scans_within_metadata_and_restarts_do_not_count():
    thumbnail = (
        b"\xff\xe1"
        + (2 + 4 * 300).to_bytes(2, "big")
        + b"\xff\xda\x00\x02" * 300
    )
    scan = b"\xff\xda\x00\x02" + b"\xff\x00\xff\xd0\xff\x01" * 30_000
    refuse_many_scans(
        io.BytesIO(b"\xff\xd8" + thumbnail + scan + b"\xff\xd9"), Path("x.jpg")
    )


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tiff", "webp"])
def test_a_picture_of_another_stated_size_is_refused_undecoded(
    suffix, tmp_path, undecoded
):
    path = saved(tmp_path / f"x.{suffix}")
    with pytest.raises(
        InputError,
        match="got 64x96; expected 8x8, the bundle's frame: export with --frame 64x96",
    ):
        read_picture(path, size=(8, 8))


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_turned_picture_is_of_its_upright_size(suffix, tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    path = saved(tmp_path / f"x.{suffix}", exif=turned)
    assert read_picture(path, size=(96, 64)).shape == (96, 64, 3)
    with pytest.raises(InputError, match="got 96x64"):
        read_picture(path, size=(8, 8))


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_a_check_refuses_a_picture_that_is_not_whole(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    Image.fromarray(NOISE).save(path)
    check_picture(path)
    whole = path.read_bytes()
    for share in (0.02, 0.5, 0.95):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputError, match="cannot be read as a picture"):
            check_picture(path)


def test_a_check_refuses_several_frames_and_deep_pictures(tmp_path):
    frames = [Image.fromarray(NOISE), Image.fromarray(NOISE[::-1])]
    frames[0].save(tmp_path / "x.tif", save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match="2 frames in one file"):
        check_picture(tmp_path / "x.tif")
    Image.fromarray(NOISE[..., 0].astype(np.uint16)).save(tmp_path / "x.png")
    with pytest.raises(InputError, match="16 bits a channel"):
        check_picture(tmp_path / "x.png")
    with pytest.raises(InputError, match="more than 200 scans"):
        check_picture(progressive(tmp_path / "x.jpg", 201))
    with pytest.raises(InputError, match=r"none\.png"):
        check_picture(tmp_path / "none.png")


def test_a_check_of_a_damaged_png_compares_checksums(tmp_path):
    path = saved(tmp_path / "x.png")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="cannot be read as a picture"):
        check_picture(path)
