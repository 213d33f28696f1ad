"""Persistent ids: storages by their keys, types and sizes."""

import io
import warnings

import pytest
import torch

from anomedge.interop.archive.limits import Refused
from anomedge.interop.archive.members import Member
from anomedge.interop.archive.persistent import Storages
from anomedge.interop.archive.records import Record
from tests.interop.archive.making import content_of
from tests.interop.archive.saving import saved


def test_quantised_tensors_are_records(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)
        path = saved(made, tmp_path / "file.pt")
    content = content_of(path)
    assert content.path == "torch._utils._rebuild_qtensor"
    assert content.args[0].path == "torch.QInt8Storage"


def storages():
    content = bytes(range(24))
    member = Member("archive/data/0", 0, 24, 0)
    return Storages(io.BytesIO(content), "archive", {member.name: member})


def identity(kind="torch.FloatStorage", key="0", count=6, **changed):
    module, _, name = kind.rpartition(".")
    record = Record(module, name, called=False)
    parts = {"word": "storage", "kind": record, "key": key, "location": "cpu", "count": count}  # fmt: skip
    return tuple((parts | changed).values())


def called_kind():
    """An id whose type is the result of a call."""
    word, _, *others = identity()
    return (word, Record("torch", "FloatStorage"), *others)


@pytest.mark.parametrize(
    ("kind", "count", "dtype"),
    [
        ("torch.FloatStorage", 6, torch.float32),
        ("torch.cuda.HalfStorage", 12, torch.float16),
        ("torch.storage.UntypedStorage", 24, torch.uint8),
        ("torch.ComplexFloatStorage", 3, torch.complex64),
    ],
)
def test_a_storage_is_a_tensor_of_one_dimension(kind, count, dtype):
    found = storages().load(identity(kind, count=count))
    assert (found.dtype, found.shape, found.strides) == (dtype, (count,), (1,))
    expected = torch.arange(24, dtype=torch.uint8).view(dtype)
    assert torch.equal(found.load().view(torch.uint8), expected.view(torch.uint8))  # fmt: skip


def test_one_member_is_one_storage_whatever_its_type():
    made = storages()
    first = made.load(identity())
    assert made.load(identity()).storage is first.storage
    other = made.load(identity("torch.ByteStorage", count=24))
    assert other.storage is first.storage


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (identity(key="1"), "'1' is missing"),
        (identity(key="../data.pkl"), "is missing"),
        (identity(count=7), "claims 7 values of torch.float32; its member has 24 bytes"),
        (identity("os.system"), "has the type os.system; expected one of Double"),
        (called_kind(), "has the type"),
        (identity(word="module"), "of another form"),
        (identity(count=-6), "of another form"),
        (identity(count=True), "of another form"),
        (identity()[:4], "of another form"),
        ("storage", "of another form"),
    ],
)  # fmt: skip
def test_other_ids_are_refused(given, said):
    with pytest.raises(Refused, match=said):
        storages().load(given)
