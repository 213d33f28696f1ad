"""A file that is cut anywhere is incomplete, in every format; a complete one never is."""

import io
import os
import struct

import numpy as np
import pytest
from PIL import Image

from anomedge.images.complete import missing_part

NOISE = np.random.default_rng(0).integers(0, 256, (24, 20, 3)).astype(np.uint8)


def saved(form, *, mode="RGB", **options):
    file = io.BytesIO()
    Image.fromarray(NOISE).convert(mode).save(file, form, **options)
    return file.getvalue()


def jpeg_with_thumbnail():
    """A JPEG whose EXIF segment holds another whole JPEG."""
    content, thumbnail = saved("JPEG"), saved("JPEG", quality=20)
    inner = b"Exif\0\0" + thumbnail
    segment = b"\xff\xe1" + struct.pack(">H", len(inner) + 2) + inner
    return content[:2] + segment + content[2:]


def os2_bitmap():
    """A BMP with the header of OS/2."""
    rows = b"\x01\x02\x03\0"
    head = struct.pack("<2sIHHI", b"BM", 26 + len(rows), 0, 0, 26)
    return head + struct.pack("<IHHHH", 12, 1, 1, 1, 24) + rows


def run_length_bitmap():
    """A BMP with run-length encoded rows of 4 bytes each."""
    rows = b"\x04\x07\0\0" * 4 + b"\0\1"
    size = 54 + 1024 + len(rows)
    head = struct.pack("<2sIHHI", b"BM", size, 0, 0, 54 + 1024)
    info = struct.pack("<IiiHHIIiiII", 40, 4, 4, 1, 8, 1, len(rows), 0, 0, 0, 0)
    return head + info + bytes(1024) + rows


FILES = {
    "png": saved("PNG"),
    "palette.png": saved("PNG", mode="P"),
    "jpg": saved("JPEG"),
    "progressive.jpg": saved("JPEG", progressive=True),
    "thumbnail.jpg": jpeg_with_thumbnail(),
    "bmp": saved("BMP"),
    "grey.bmp": saved("BMP", mode="L"),
    "bilevel.bmp": saved("BMP", mode="1"),
    "os2.bmp": os2_bitmap(),
    "rle.bmp": run_length_bitmap(),
    "tif": saved("TIFF"),
    "deflated.tif": saved("TIFF", compression="tiff_adobe_deflate"),
    "big.tif": saved("TIFF", big_tiff=True),
    "webp": saved("WEBP", quality=50),
    "lossless.webp": saved("WEBP", lossless=True),
}


@pytest.fixture(params=FILES)
def content(request):
    return FILES[request.param]


def missing(path, content):
    path.write_bytes(content)
    return missing_part(path)


def test_a_complete_file_lacks_nothing(content, tmp_path):
    assert missing(tmp_path / "x", content) is None
    with Image.open(tmp_path / "x") as image:
        image.load()


def test_a_file_cut_anywhere_lacks_something(content, tmp_path):
    file = tmp_path / "x"
    end = len(content) - 1  # WebP may be padded by a byte
    for length in {*range(0, end, 41), *range(end - 9, end)}:
        assert missing(file, content[:length]), length


def test_a_file_that_lacks_its_last_byte_is_incomplete(content, tmp_path):
    padded = content.startswith(b"RIFF") and content.endswith(b"\0")
    assert missing(tmp_path / "x", content[:-1]) or padded


def test_bytes_behind_the_end_do_not_matter(content, tmp_path):
    assert missing(tmp_path / "x", content + b"\0" * 99) is None


def test_the_reason_is_stated(tmp_path):
    assert missing(tmp_path / "x", b"") == "it has 0 bytes"
    assert missing(tmp_path / "x", bytes(50)) == "it begins with zeros"
    assert "IEND" in missing(tmp_path / "x", FILES["png"][:90])
    assert "EOI" in missing(tmp_path / "x", FILES["jpg"][:-2])
    assert missing(tmp_path / "x", FILES["bmp"][:100]) == (
        "it has 100 of at least 1,494 bytes"
    )


def test_a_wrong_file_size_in_the_header_of_a_bitmap_does_not_matter(tmp_path):
    """Some programs write 0, or another number."""
    whole = FILES["bmp"]
    wrong = whole[:2] + struct.pack("<I", 10**6) + whole[6:]
    assert missing(tmp_path / "x", wrong) is None


@pytest.mark.parametrize(
    "content",
    [
        b"no picture at all",
        b"no picture",
        b"RIFF\x40\0\0\0WAVEfmt ",
        b"GIF89a" + bytes(20),
    ],
)
def test_other_files_are_left_to_the_reader(content, tmp_path):
    assert missing(tmp_path / "x", content) is None


def test_an_allocated_file_that_is_not_filled_is_incomplete(tmp_path):
    file = tmp_path / "x"
    size = 1 << 20
    head = FILES["bmp"][:18] + struct.pack("<ii", 512, 512)
    with file.open("wb") as written:
        written.truncate(size)
        written.write(head + FILES["bmp"][26:])
    with file.open("rb") as read:
        if os.lseek(read.fileno(), 0, os.SEEK_HOLE) == size:
            pytest.skip("this file system does not tell of holes")
    assert missing_part(file) == "parts of it were never written"
    file.write_bytes(file.read_bytes())
    assert missing_part(file) is None


def test_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "x")
    with pytest.raises(OSError, match="no plain file"):
        missing_part(tmp_path / "x")
