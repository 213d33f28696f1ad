"""Opcodes of names, calls and states: what they name is not looked up, what they call is not called."""

import pytest

from anomedge.interop.archive.limits import Refused
from anomedge.interop.archive.records import Record
from tests.interop.archive.running import value

POPEN = [("GLOBAL", "subprocess Popen")]


def named(module="os", name="system"):
    return Record(module, name, called=False)


@pytest.mark.parametrize(
    ("opcodes", "stack"),
    [(POPEN, ()), ("STACK_GLOBAL", ("subprocess", "Popen"))],
)
def test_a_name_is_a_record_that_was_not_called(opcodes, stack):
    record = value(opcodes, *stack)
    assert (record.module, record.name) == ("subprocess", "Popen")
    assert not record.called
    assert record.args == ()


@pytest.mark.parametrize(
    ("opcodes", "stack"),
    [
        ([("INST", "os system")], ("MARK", "ls")),
        ("OBJ", ("MARK", named(), "ls")),
        ("NEWOBJ", (named(), ("ls",))),
        ("NEWOBJ_EX", (named(), ("ls",), {})),
        ("REDUCE", (named(), ("ls",))),
    ],
)
def test_every_way_to_call_gives_the_record_of_the_call(opcodes, stack):
    record = value(opcodes, *stack)
    assert (record.path, record.args, record.called) == (
        "os.system",
        ("ls",),
        True,
    )


def test_keywords_are_kept():
    record = value("NEWOBJ_EX", named(), (1,), {"shell": True})
    assert record.keywords == {"shell": True}


def test_a_state_is_stored_and_not_applied():
    record = Record("a", "B")
    assert value("BUILD", record, {"__class__": 1}) is record
    assert record.state == {"__class__": 1}
    ordered = {"a": 1}
    assert value("BUILD", ordered, {"attribute": 2}) == {"a": 1}


def test_a_persistent_id_is_loaded_by_the_file():
    assert value("BINPERSID", ("storage", 1)) == ("loaded", ("storage", 1))


@pytest.mark.parametrize(
    ("opcodes", "stack", "said"),
    [
        ("BUILD", (named(), {}), "BUILD to <Record os.system>"),
        ("BUILD", ([], {}), "BUILD to list"),
        ("NEWOBJ", ("os.system", ()), "NEWOBJ to str"),
        ("NEWOBJ", (named(), ["ls"]), "NEWOBJ to <Record"),
        ("NEWOBJ_EX", (named(), (), []), "NEWOBJ_EX to list"),
        ("OBJ", ("MARK",), "NEWOBJ to NoneType"),
        ("REDUCE", (named(), []), "REDUCE to <Record"),
        ("STACK_GLOBAL", ("os", 3), "names '3'"),
        ("STACK_GLOBAL", ("os", "a b"), "names 'a b'"),
        ("STACK_GLOBAL", ("os", "a..b"), r"names 'a\.\.b'"),
        ("STACK_GLOBAL", ("", "a"), "names ''"),
        ("STACK_GLOBAL", ("os", "a\x1b"), "names"),
        ("STACK_GLOBAL", ("os", "a" * 513), "names 'a"),
    ],
)
def test_other_uses_are_refused(opcodes, stack, said):
    with pytest.raises(Refused, match=said):
        value(opcodes, *stack)
