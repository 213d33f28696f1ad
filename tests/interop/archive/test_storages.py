"""Storages: checked at the first read, and read as long as the file is open."""

import io
import struct
import zlib

import pytest
import torch

from anomedge.errors import ModelError
from anomedge.interop.archive import open_archive
from anomedge.interop.archive.limits import Refused
from anomedge.interop.archive.members import Member
from anomedge.interop.archive.storages import Storage
from tests.interop.archive.saving import saved


@pytest.mark.parametrize("part", [slice(None), slice(3, 7)])
def test_a_damaged_tensor_is_refused(tmp_path, part):
    path = tmp_path / "file.pt"
    torch.save([torch.arange(100.0)[part]], path)
    content = bytearray(path.read_bytes())
    content[content.index(struct.pack("<f", 90.0))] ^= 1
    path.write_bytes(content)
    with (
        open_archive(path) as archive,
        pytest.raises(ModelError, match=r"cannot read a tensor: .* damaged"),
    ):
        archive.content[0].load()


def test_a_file_that_becomes_shorter_is_refused(torchs):
    with open_archive(torchs) as archive:
        with torchs.open("r+b") as file:
            file.truncate(10)
        with pytest.raises(ModelError, match=r"changed meanwhile|ends at"):
            archive.content["weight"].load()


def test_a_tensor_is_not_read_after_the_block(tmp_path):
    with open_archive(saved([torch.ones(2)], tmp_path / "f.pt")) as archive:
        stored = archive.content[0]
    with pytest.raises(ModelError, match="closed; load tensors before"):
        stored.load()


def storage(content=b"abcdef", crc=None, size=6):
    number = zlib.crc32(content) if crc is None else crc
    member = Member("archive/data/0", 3, size, number)
    return Storage(io.BytesIO(b"###" + content + b"###"), member)


def test_parts_are_those_of_the_member():
    made = storage()
    assert (made.name, made.size) == ("archive/data/0", 6)
    assert bytes(made.read(0, 6)) == b"abcdef"
    assert bytes(made.read(2, 3)) == b"cde"
    assert bytes(made.read(6, 0)) == b""


@pytest.mark.parametrize(("start", "count"), [(0, 6), (2, 3)])
def test_the_checksum_is_that_of_the_whole_member(start, count):
    with pytest.raises(Refused, match="is damaged"):
        storage(crc=1).read(start, count)
    storage(crc=0).read(start, count)


def test_a_member_is_checked_once():
    made = storage()
    made.read(0, 6)
    made._file.seek(3)
    made._file.write(b"X")
    assert bytes(made.read(0, 2)) == b"Xb"


def test_each_read_has_memory_of_its_own():
    made = storage()
    first = made.read(0, 6)
    first.zero_()
    assert bytes(made.read(0, 6)) == b"abcdef"


def test_a_closed_or_shorter_file_is_refused():
    made = storage(crc=0)
    made._file.truncate(5)
    with pytest.raises(Refused, match=r"got 2 bytes .*; expected 6"):
        made.read(0, 6)
    made._file.close()
    with pytest.raises(Refused, match="it is closed"):
        made.read(0, 1)
