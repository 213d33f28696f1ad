"""Hostile pickles: nothing runs, nothing hangs, and each is refused in one line or gives inert records."""

import pickle
import re
import sys
import time
from pathlib import Path

import pytest

from anomedge.errors import ModelError
from anomedge.interop.archive import Record
from tests.interop.archive.making import (
    PROTO,
    content_of,
    name,
    number,
    numbers,
    storage,
    tensor,
    text,
    write_archive,
)

ARGUMENT = b"(" + text("touch ran") + b"t"
SYSTEM = name("os", "system")
GETATTR = name("__builtin__", "getattr")
WATCHED = ("exec", "compile", "import", "os.", "subprocess.", "pickle.")
INERT = {
    "reduce to os.system": (SYSTEM + ARGUMENT + b"R.", "os.system"),
    "reduce to eval": (
        name("builtins", "eval") + b"(" + text("1/0") + b"tR.",
        "builtins.eval",
    ),
    "instance of Popen": (
        b"(" + text("touch ran") + b"isubprocess\nPopen\n.",
        "subprocess.Popen",
    ),
    "object of Popen": (
        b"(" + name("subprocess", "Popen") + text("touch ran") + b"o.",
        "subprocess.Popen",
    ),
    "new object": (
        name("subprocess", "Popen") + ARGUMENT + b"\x81.",
        "subprocess.Popen",
    ),
    "new object with keywords": (
        name("subprocess", "Popen") + ARGUMENT + b"}\x92.",
        "subprocess.Popen",
    ),
    "getattr of a class": (
        GETATTR + b"(" + name("os", "path") + text("__class__") + b"tR.",
        "__builtin__.getattr",
    ),
    "call of getattr": (
        GETATTR + b"(" + name("os", "path") + text("system") + b"tR" + ARGUMENT + b"R.",
        "<call>",
    ),
    "dotted name": (
        text("torch") + text("os.system") + b"\x93" + ARGUMENT + b"R.",
        "torch.os.system",
    ),
    "dotted name of a rebuilt tensor": (
        text("torch") + text("_utils._rebuild_tensor_v2") + b"\x93" + ARGUMENT + b"R.",
        "torch._utils._rebuild_tensor_v2",
    ),
    "import of a module": (
        name("importlib", "import_module") + b"(" + text("antigravity") + b"tR.",
        "importlib.import_module",
    ),
    "state of a record": (
        name("a", "B") + b")\x81}" + text("__setstate__") + SYSTEM + b"sb.",
        "a.B",
    ),
}  # fmt: skip
REFUSED = {
    "extension of one byte": (b"\x82\x01.", "the opcode EXT1"),
    "extension of two bytes": (b"\x83\x01\x00.", "the opcode EXT2"),
    "extension of four bytes": (b"\x84\x01\x00\x00\x00.", "the opcode EXT4"),
    "persistent id of text": (b"P0\n.", "the opcode PERSID"),
    "buffer outside": (b"\x97.", "the opcode NEXT_BUFFER"),
    "buffer made read-only": (b"N\x98.", "the opcode READONLY_BUFFER"),
    "persistent id of one number": (b"K\x01Q.", "of another form"),
    "persistent id of four parts": (
        b"(" + text("storage") + text("a") + text("0") + text("cpu") + b"tQ.",
        "of another form",
    ),
    "persistent id of another word": (
        b"(" + text("module") + name("torch", "FloatStorage") + text("0") + text("cpu") + b"K\x06tQ.",
        "of another form",
    ),
    "storage of another type": (
        storage(kind=name("os", "system")) + b".",
        "a storage has the type os.system",
    ),
    "storage that is missing": (storage(key="1") + b".", "is missing"),
    "storage outside": (storage(key="../../data.pkl") + b".", "is missing"),
    "storage that claims more": (storage(1 << 40) + b".", "its member has 24"),
    "storage of negative size": (storage(-6) + b".", "of another form"),
    "BUILD on a function": (
        name("torch._utils", "_rebuild_tensor_v2") + b"}b.",
        "BUILD to <Record torch._utils",
    ),
    "BUILD on a class": (
        name("collections", "OrderedDict") + b"}b.",
        "BUILD to <Record collections",
    ),
    "BUILD on a list": (b"]}b.", "BUILD to list"),
    "entries of a class": (name("a", "B") + b"NNs.", "SETITEMS to <Record"),
    "items of a class": (name("a", "B") + b"Na.", "APPENDS to <Record"),
    "call of a text": (text("eval") + ARGUMENT + b"R.", "REDUCE to str"),
    "call of a number": (b"K\x01)R.", "REDUCE to int"),
    "call without a tuple": (SYSTEM + b"NR.", "REDUCE to <Record os.system>"),
    "new object of a list": (b"])\x81.", "NEWOBJ to list"),
    "empty object": (b"(o.", "NEWOBJ to NoneType"),
    "keywords that are none": (SYSTEM + b")N\x92.", "NEWOBJ_EX to NoneType"),
    "name with a space": (b"cos\nsystem x\n.", "names 'system x'"),
    "name that is a number": (b"K\x01K\x02\x93.", "names '1'"),
    "empty name": (text("os") + text("a..b") + b"\x93.", "names 'a..b'"),
    "very long name": (b"ca\n" + b"b" * 600 + b"\n.", "names 'bbb"),
    "unhashable key": (b"}]Ns.", "a key with a list"),
    "unhashable item": (b"\x8f(]\x90.", "a key with a list"),
    "unhashable item of a call": (
        name("builtins", "set") + b"(](]etR.",
        "a key with a list",
    ),
    "key of nested lists": (b"}(]tNs.", "a key with a list"),
    "entries of a number": (b"K\x01NNs.", "SETITEMS to int"),
    "half an entry": (b"}(Nu.", "a key without a value"),
    "items of a tuple": (b")Na.", "APPENDS to tuple"),
    "additions to a list": (b"](N\x90.", "ADDITEMS to list"),
    "empty stack": (b"R.", "empty stack"),
    "stack under a mark": (b"N(R.", "empty stack"),
    "top of an empty stack": (b"2.", "empty stack"),
    "group that is not open": (b"Nt.", "did not open"),
    "open group": (b"N(.", "leaves 0 values"),
    "two results": (b"NN.", "leaves 2 values"),
    "no result": (b".", "leaves 0 values"),
    "memo without value": (b"h\x07.", "uses value 7"),
    "no stop": (b"N", "damaged"),
    "unknown opcode": (b"\xff.", "damaged"),
    "bytes after the end": (b"N.N", "followed by 1 more"),
    "protocol 6": (b"\x80\x06N.", "protocol 6"),
    "half a number": (b"J\x01.", "damaged|claims"),
    "text that claims 4 GB": (b"X\xff\xff\xff\xff.", "claims an argument"),
    "text that claims 2^62": (
        b"\x8d" + (1 << 62).to_bytes(8, "little") + b".",
        "claims an argument",
    ),
    "bytes that claim 2^63": (
        b"\x8e" + (1 << 63).to_bytes(8, "little") + b".",
        "damaged",
    ),
    "integer that claims 2 GB": (b"\x8b\xff\xff\xff\x7f.", "claims an argum"),
    "integer of negative length": (b"\x8b\xff\xff\xff\xff.", "damaged"),
    "integer of 4096 bits": (
        b"\x8b\x00\x02\x00\x00" + b"\x7f" * 512 + b".",
        "bits; expected at most 2040",
    ),
    "text integer of a megabyte": (b"I" + b"9" * (1 << 20) + b"\n.", "a line"),
    "text integer of 20,000 digits": (b"L" + b"9" * 20_000 + b"L\n.", "damag"),
    "text of a megabyte in a line": (b"V" + b"a" * (1 << 20) + b"\n.", "a line"),
    "text that is not UTF-8": (b"X\x01\x00\x00\x00\xff.", "damaged"),
    "tensor of negative size": (
        tensor(numbers(-1), numbers(1)) + b".", "shape contain a value"
    ),
    "tensor of negative stride": (
        tensor(numbers(2), numbers(-1)) + b".", "strides contain a value"
    ),
    "tensor of negative offset": (
        tensor(numbers(1), numbers(1), number(-4)) + b".", "offset contain"
    ),
    "tensor beyond its storage": (
        tensor(numbers(7), numbers(1)) + b".", "reaches to byte 28"
    ),
    "strides beyond the storage": (
        tensor(numbers(2, 2), numbers(4, 2)) + b".", "reaches to byte 28"
    ),
    "offset beyond the storage": (
        tensor(numbers(1), numbers(1), number(6)) + b".", "reaches to byte 28"
    ),
    "tensor of 4 TB": (
        tensor(numbers(1 << 40), numbers(0)) + b".", "expands a storage"
    ),
    "tensor of a huge product": (
        tensor(numbers(*[1 << 47] * 60), numbers(*[0] * 60)) + b".", "expands"
    ),
    "size over 2^48": (
        tensor(numbers(0, 1 << 60), numbers(1, 1)) + b".", "no size from 0"
    ),
    "65 dimensions": (
        tensor(numbers(*[1] * 65), numbers(*[1] * 65)) + b".", "at most 64"
    ),
    "fewer strides": (tensor(numbers(2), numbers()) + b".", "has 0 strides"),
    "sizes that are booleans": (
        tensor(b"\x88\x85", numbers(1)) + b".", "shape contain"
    ),
    "sizes in a list": (tensor(b"]", numbers()) + b".", "no tuple"),
    "tensor on a text": (
        tensor(numbers(), numbers(), stored=text("a")) + b".", "lies on"
    ),
    "tensor on quantised values": (
        tensor(
            numbers(), numbers(), stored=storage(6, name("torch", "QInt8Storage"))
        ) + b".",
        "lies on torch.QInt8Storage",
    ),
    "tensor without arguments": (
        name("torch._utils", "_rebuild_tensor_v2") + b")R.",
        "with 0 arguments",
    ),
    "parameter of a list": (
        name("torch._utils", "_rebuild_parameter") + b"(]\x88}tR.",
        "with 3 arguments",
    ),
    "text as bytes": (
        name("_codecs", "encode") + b"(" + text("\u1234") + text("latin1") + b"tR.",
        "with 2 arguments",
    ),
    "bytes by another codec": (
        name("_codecs", "encode") + b"(" + text("a") + text("zip") + b"tR.",
        "with 2 arguments",
    ),
    "dict of triples": (
        name("collections", "OrderedDict") + b"((NNNttR.",
        "with 1 arguments",
    ),
}  # fmt: skip


_events: list[str] | None = None


def _hook(event, _):
    if _events is not None and event.startswith(WATCHED):
        _events.append(event)


sys.addaudithook(_hook)


def run_events(path):
    """The audit events that code of a pickle would cause, while a file is read; and its content or error."""
    global _events
    _events = events = []
    try:
        return events, content_of(path)
    except ModelError as error:
        return events, error
    finally:
        _events = None


@pytest.mark.parametrize("case", INERT)
def test_calls_are_inert_records(tmp_path, case):
    body, path = INERT[case]
    events, record = run_events(write_archive(tmp_path / "f.pt", PROTO + body))
    assert isinstance(record, Record)
    assert (record.path, record.called) == (path, True)
    assert events == []


def test_a_call_of_a_call_holds_the_inner_record(tmp_path):
    body, _ = INERT["call of getattr"]
    record = content_of(write_archive(tmp_path / "file.pt", PROTO + body))
    inner, argument = record.args
    assert inner.path == "__builtin__.getattr"
    assert inner.args[0].path == "os.path"
    assert argument == "touch ran"


@pytest.mark.parametrize("case", REFUSED)
def test_hostile_pickles_are_refused_in_one_line(tmp_path, case):
    body, said = REFUSED[case]
    path = write_archive(tmp_path / "file.pt", PROTO + body)
    events, error = run_events(path)
    assert isinstance(error, ModelError)
    assert re.search(said, str(error))
    assert str(error).startswith(f"cannot read {path}: ")
    assert "\n" not in str(error)
    assert events == []


def test_code_that_runs_is_noticed(tmp_path):
    """The watch of these tests sees an unpickler."""
    global _events
    body, _ = INERT["reduce to eval"]
    _events = events = []
    try:
        with pytest.raises(ZeroDivisionError):
            pickle.loads(PROTO + body)  # noqa: S301 - it is the one above
    finally:
        _events = None
    assert {"pickle.find_class", "compile", "exec"} <= set(events)


def chain(opcodes: bytes, count: int) -> bytes:
    """A value within `count` tuples, lists, dicts or records."""
    return b"N" + opcodes * count


def laughs(count: int) -> bytes:
    """A tuple of two tuples, each of two tuples, and so on; one object per level."""
    return b")" + b"2\x86" * count


def colliding(count: int) -> bytes:
    """A dict whose keys have the same hash."""
    keys = [number(k * ((1 << 61) - 1)) + b"N" for k in range(1, count)]
    return b"}(" + b"".join(keys) + b"u"


def tuples_as_keys(count: int) -> bytes:
    """A dict of tuples: hashes of tuples can be made to collide."""
    return b"}(" + b"".join(numbers(k) + b"N" for k in range(count)) + b"u"


def copies(function: bytes, size: int, count: int) -> bytes:
    """A list of copies of one list."""
    shared = b"](" + b"".join(number(k) for k in range(size)) + b"e\x85q\x00"
    return shared + b"](" + (function + b"h\x00R") * count + b"e\x86"


def equal_keys(size: int, count: int) -> bytes:
    """Two equal long texts that are keys in turn, and compared each time."""
    two = text("a" * size) + b"q\x00" + text("a" * size) + b"q\x01"
    return two + b"\x86}" + b"h\x00Nsh\x01Ns" * count + b"\x86"


def views(count: int) -> bytes:
    """Tensors of 1 MB on a storage of 24 bytes."""
    one = tensor(numbers(1 << 18), numbers(0))
    return b"](" + one * count + b"e"


BOMBS = {
    "nested tuples": (chain(b"\x85", 100_000), "nested over 200"),
    "nested lists": (b"]" * 100_000 + b"a" * 99_999, "nested over 200"),
    "nested dicts": (b"}N" * 50_000 + b"N" + b"s" * 50_000, "nested over 200"),
    "nested records": (
        name("a", "B")
        + b"q\x00"
        + b"h\x00)\x81" * 20_000
        + b"b" * 19_999
        + b"\x86",
        "nested over 200",
    ),
    "marks": (b"(" * 100_000 + b"N", "open marks"),
    "memo": (b"N" + b"".join(b"r" + k.to_bytes(4, "little") for k in range(400_000)), "more memory"),
    "lists": (b"](" + b"]" * 400_000 + b"e", "more memory"),
    "sets": (b"](" + b"\x8f" * 400_000 + b"e", "more memory"),
    "tuples as keys": (tuples_as_keys(5000), "over 1000 of its keys"),
    "colliding keys": (colliding(40_000), "over 1000 of its keys"),
    "key of laughs": (b"}" + laughs(60) + b"Ns", "key of over 1000 parts"),
    "item of laughs": (b"\x8f(" + laughs(60) + b"\x90", "key of over 1000"),
    "copies of a set": (
        copies(name("builtins", "set"), 1000, 100_000), "over 50000"
    ),
    "copies of a size": (
        copies(name("torch", "Size"), 1000, 100_000), "more memory"
    ),
    "equal keys": (equal_keys(1 << 20, 100_000), "more memory"),
    "expanded tensors": (views(200), "tensors together"),
    "opcodes": (b"N" + b"\x80\x02" * 1_000_000, "opcodes"),
}  # fmt: skip


def peak_of(path):
    """Rise of the process's peak memory while a file is read, and the content or the error."""
    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    try:
        result = content_of(path)
    except ModelError as error:
        result = error
    return memory("VmHWM") - before, result


def memory(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(f"{key}:")]
    return int(line.split()[1]) << 10


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux")
@pytest.mark.parametrize("case", BOMBS)
def test_bombs_are_refused_in_bounds(tmp_path, case):
    body, said = BOMBS[case]
    path = write_archive(tmp_path / "file.pt", PROTO + body + b".")
    start = time.process_time()
    peak, error = peak_of(path)
    assert time.process_time() - start < 20
    assert isinstance(error, ModelError)
    assert said in str(error)
    assert peak <= 2 * path.stat().st_size + (64 << 20)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux")
def test_a_text_of_wide_letters_stays_in_bounds(tmp_path):
    """One letter beyond the first plane makes each letter of a text take four bytes."""
    body = text("a" * (8 << 20) + "\U0001f600") + b"."
    path = write_archive(tmp_path / "file.pt", PROTO + body)
    peak, content = peak_of(path)
    assert len(content) == (8 << 20) + 1
    assert peak <= 2 * path.stat().st_size + (64 << 20)


def test_shared_tuples_cost_no_more_than_they_are(tmp_path):
    content = content_of(
        write_archive(tmp_path / "file.pt", PROTO + laughs(100) + b".")
    )
    assert content[0] is content[1]
