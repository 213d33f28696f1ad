"""The end of a TIFF follows from its directories: classic and BigTIFF, both byte orders, strips and tiles."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from anomedge.images._tiff_end import end_of_tiff

GREY = np.arange(64, dtype=np.uint8).reshape(8, 8)


def end_of(content):
    return end_of_tiff(io.BytesIO(content), len(content))


def directory(order, *, big=False, tags=(273, 279), places=(600,), sizes=(40,)):
    """A file of one directory with lists of places and sizes, cut where its last list ends."""
    place, count = ("Q", "Q") if big else ("I", "H")
    kind = 16 if big else 4
    magic = {"<": b"II", ">": b"MM"}[order]
    head = magic + struct.pack(order + "H", 43 if big else 42)
    head += struct.pack(order + "HH", 8, 0) if big else b""
    first = len(head) + struct.calcsize(order + place)
    entry = struct.calcsize(f"{order}HH{place}{place}")
    after = first + struct.calcsize(order + count) + 2 * entry
    lists = after + struct.calcsize(order + place)
    body, data = struct.pack(order + count, 2), b""
    for tag, values in zip(tags, (places, sizes), strict=True):
        content = struct.pack(f"{order}{len(values)}{place}", *values)
        where = struct.pack(order + place, lists + len(data))
        inside = len(values) == 1
        data += b"" if inside else content
        body += struct.pack(f"{order}HH{place}", tag, kind, len(values))
        body += content if inside else where
    body += struct.pack(order + place, 0)
    return head + struct.pack(order + place, first) + body + data


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("tags", [(273, 279), (324, 325)])
def test_the_last_strip_or_tile_is_the_end(order, big, tags):
    one = directory(order, big=big, tags=tags)
    assert end_of(one.ljust(700, b"\0")) == 640
    many = directory(
        order, big=big, tags=tags, places=(900, 500, 700), sizes=(50, 40, 30)
    )
    assert end_of(many.ljust(900, b"\0")) == 950


def test_lists_of_places_beyond_the_end_are_missing():
    whole = directory("<", places=(100, 140), sizes=(40, 40))
    for length in range(8, len(whole)):
        assert end_of(whole[:length]) > length


def test_directories_that_point_at_each_other_end():
    looped = bytearray(directory("<"))
    looped[-4:] = struct.pack("<I", 8)
    assert end_of(bytes(looped).ljust(700, b"\0")) == 640


def test_a_directory_of_absurd_size_is_outside_the_file():
    head = struct.pack("<2sHHHQ", b"II", 43, 8, 0, 16)
    assert end_of(head + struct.pack("<Q", 2**63)) > 2**63
    assert end_of(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 2**64 - 2)) > 2**63


def test_every_entry_of_a_real_file_counts():
    file = io.BytesIO()
    Image.fromarray(GREY).save(file, "TIFF", software="x" * 300)
    content = file.getvalue()
    assert end_of(content) <= len(content)
    assert end_of(content[:-1]) == len(content)
