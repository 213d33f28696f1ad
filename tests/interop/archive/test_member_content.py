"""Content of members: bounded, and compared with its checksum."""

import io
import zlib

import pytest

from anomedge.interop.archive.limits import Budget, Refused
from anomedge.interop.archive.member_content import (
    MemberStream,
    check_content,
    read_small,
)
from anomedge.interop.archive.members import Member
from tests.interop.archive.making import write_archive
from tests.interop.archive.zips import PICKLE, refused


def test_a_long_byte_order_is_refused(tmp_path):
    path = write_archive(tmp_path / "f.pt", PICKLE, byteorder=b"x" * 2000)
    refused(path, "has 2000 bytes; expected at most 1024")


def test_a_damaged_pickle_is_refused(torchs):
    content = bytearray(torchs.read_bytes())
    content[content.index(b"weight")] ^= 1
    torchs.write_bytes(content)
    refused(torchs, r"has the CRC .*: the file is damaged, copy it again")


def stream(content, size=None, budget=None):
    member = Member("data.pkl", 2, len(content) if size is None else size, 0)
    file = io.BytesIO(b"##" + content + b"##")
    return MemberStream(file, member, budget or Budget(1 << 20))


def test_a_stream_gives_the_bytes_of_its_member_alone():
    made = stream(b"abc\ndef")
    assert made.read(2) == b"ab"
    assert made.readline() == b"c\n"
    assert made.left == 3
    assert made.readline() == b"def"
    assert made.read(1) == b""
    assert not hasattr(made, "tell")


@pytest.mark.parametrize("count", [8, 1 << 62, -1])
def test_lengths_are_checked_before_memory_is_taken(count):
    with pytest.raises(Refused, match=f"claims an argument of {count} bytes"):
        stream(b"abcdefg").read(count)


def test_a_line_has_a_largest_length():
    assert len(stream(b"a" * 65535 + b"\n").readline()) == 65536
    with pytest.raises(Refused, match="a line of over 65536 bytes"):
        stream(b"a" * 65537 + b"\n").readline()


def test_bytes_are_charged_for_the_text_that_they_may_become():
    made = stream(b"a" * (9 << 20), budget=Budget(0))
    with pytest.raises(Refused, match="more memory"):
        made.read(9 << 20)


def test_small_members_are_read_whole():
    file = io.BytesIO(b"##little##")
    assert read_small(file, Member("byteorder", 2, 6, 0)) == b"little"
    with pytest.raises(Refused, match="has 1025 bytes; expected at most 1024"):
        read_small(file, Member("byteorder", 2, 1025, 0))


def test_content_is_compared_with_its_checksum():
    content = b"x" * ((1 << 20) + 5)
    right = zlib.crc32(content)
    file = io.BytesIO(content)
    for crc in (right, 0):
        check_content(file, Member("a", 0, len(content), crc))
    with pytest.raises(Refused, match=f"the CRC {right:08x}; expected 0000"):
        check_content(file, Member("a", 0, len(content), 5))
