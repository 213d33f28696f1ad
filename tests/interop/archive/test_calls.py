"""Calls that become values, and calls that stay records."""

import warnings
from collections import Counter, defaultdict

import torch

from anomedge.interop.archive import open_archive
from tests.interop.archive.making import PROTO, content_of, name, write_archive
from tests.interop.archive.saving import saved


def test_containers_of_the_standard_library_are_plain(tmp_path):
    given = {
        "counter": Counter("aab"),
        "default": defaultdict(list, {1: [2]}),
        "size": torch.Size([2, 3]),
        "bytes": bytearray(b"\xff\x00"),
        "empty": b"",
    }
    content = content_of(saved(given, tmp_path / "file.pt"))
    assert content == given | {"size": (2, 3), "bytes": b"\xff\x00"}
    assert type(content["counter"]) is type(content["default"]) is dict


def test_attributes_of_a_tensor_are_dropped(tmp_path):
    made = torch.ones(2)
    made.note = "kept by torch"
    with open_archive(saved(made, tmp_path / "file.pt")) as archive:
        assert torch.equal(archive.content.load(), torch.ones(2))


def test_sparse_tensors_are_records(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = saved(torch.eye(2).to_sparse(), tmp_path / "file.pt")
    assert content_of(path).path == "torch._utils._rebuild_sparse_tensor"


def test_a_tensor_type_that_nests_itself_stays_a_record(tmp_path):
    names = name("torch._tensor", "_rebuild_from_type_v2") + b"q\x000"
    names += name("torch", "Tensor") + b"q\x010"
    args = b"(h\x00h\x01" * 60 + b")" + b"Nt" * 60
    path = write_archive(
        tmp_path / "f.pt", PROTO + names + b"h\x00" + args + b"R."
    )
    record = content_of(path)
    assert record.path == "torch._tensor._rebuild_from_type_v2"
    assert record.args[2][0].called is False
