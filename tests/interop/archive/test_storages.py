"""Storages: checked at the first read, and read as long as the file is open."""

import struct

import pytest
import torch

from anomedge.errors import ModelError
from anomedge.interop.archive import open_archive
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
