"""Calls that become values, and calls that stay records."""

import warnings
from collections import Counter, defaultdict

import pytest
import torch

from anomedge.interop.archive import open_archive
from anomedge.interop.archive.calls import called, value_or_record
from anomedge.interop.archive.limits import Budget, Refused
from anomedge.interop.archive.machine import Machine
from anomedge.interop.archive.records import CALL, Record
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


@pytest.fixture
def machine():
    return Machine(Budget(1 << 20), None)


def made(machine, path, *args):
    module, _, name = path.rpartition(".")
    return value_or_record(machine, Record(module, name, called=False), args)


@pytest.mark.parametrize(
    ("path", "args", "value"),
    [
        ("collections.OrderedDict", (), {}),
        ("collections.OrderedDict", ([("a", 1), ["b", 2]],), {"a": 1, "b": 2}),
        ("collections.Counter", ({"a": 2},), {"a": 2}),
        ("collections.defaultdict", (None, {"a": 2}), {"a": 2}),
        ("builtins.set", ([1, 2, 1],), {1, 2}),
        ("__builtin__.frozenset", ((1,),), frozenset({1})),
        ("builtins.bytearray", ("\xff", "latin-1"), b"\xff"),
        ("_codecs.encode", ("\xe9", "latin1"), b"\xe9"),
        ("torch.Size", ([2, 3],), (2, 3)),
    ],
)
def test_containers_of_python_become_values(machine, path, args, value):
    found = made(machine, path, *args)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("path", "args"),
    [
        ("collections.OrderedDict", ("ab",)),
        ("collections.OrderedDict", ([(1, 2, 3)],)),
        ("collections.OrderedDict", ({}, {})),
        ("builtins.set", (5,)),
        ("builtins.bytes", (7,)),
        ("_codecs.encode", ("a", "zip")),
        ("_codecs.encode", ("\u1234", "latin1")),
        ("torch.Size", (3,)),
        ("torch._utils._rebuild_parameter", ([],)),
        ("torch._utils._rebuild_tensor_v2", (1, 2)),
    ],
)
def test_arguments_that_torch_does_not_write_are_refused(machine, path, args):
    with pytest.raises(Refused, match=f"calls {path} with {len(args)} arg"):
        made(machine, path, *args)


def test_other_calls_become_records(machine):
    record = made(machine, "os.system", "ls")
    assert (record.path, record.args, record.called) == (
        "os.system",
        ("ls",),
        True,
    )
    again = value_or_record(machine, record, (1,))
    assert (again.name, again.args) == (CALL, (record, 1))
    assert called(record, ()).args == (record,)


def test_a_called_record_is_no_longer_a_function(machine):
    record = Record("collections", "OrderedDict")
    assert value_or_record(machine, record, ()).name == CALL


@pytest.mark.parametrize(
    ("path", "args", "said"),
    [
        ("torch._utils._rebuild_tensor", ("text", 0, (), ()), "lies on <class 'str'>"),
        ("torch._utils._rebuild_tensor_v2", (1, 0, (), (), False, {}, {"conj": True}), "conjugated or negated"),
        ("torch._utils._rebuild_tensor_v3", (1, 0, (), (), False, {}, None), "lies on"),
    ],
)  # fmt: skip
def test_tensors_of_other_kinds_are_refused(machine, path, args, said):
    with pytest.raises(Refused, match=said):
        made(machine, path, *args)
