"""The interpreter: every opcode of the protocols is handled or refused by its name."""

import io
import pickle
import pickletools

import pytest

from anomedge.interop.archive.limits import Budget, Refused
from anomedge.interop.archive.member_content import MemberStream
from anomedge.interop.archive.members import Member
from anomedge.interop.archive.opcodes import _HANDLERS, interpret

VALUE = {"a": [1, -2.5, None], "b": ("x", b"y", True), 3: {"é", "f"}}


def interpreted(content):
    member = Member("data.pkl", 0, len(content), 0)
    budget = Budget(len(content))
    stream = MemberStream(io.BytesIO(content), member, budget)
    return interpret(stream, budget, lambda identity: identity)


def test_every_opcode_has_a_handler_or_is_refused():
    known = {opcode.name for opcode in pickletools.opcodes}
    assert known - _HANDLERS.keys() == {
        "EXT1", "EXT2", "EXT4", "PERSID", "NEXT_BUFFER", "READONLY_BUFFER",
    }  # fmt: skip
    assert not _HANDLERS.keys() - known


@pytest.mark.parametrize("protocol", range(2, 6))
def test_plain_values_are_those_that_were_pickled(protocol):
    assert interpreted(pickle.dumps(VALUE, protocol)) == VALUE


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is damaged"),
        (b"N", "is damaged"),
        (b"N.N", "followed by 1 more bytes"),
        (b"\x82\x01.", "the opcode EXT1, which torch.save does not write"),
        (b"\x00.", "is damaged"),
        (b"X\x01\x00\x00\x00\xff.", "is damaged"),
        (b"NN.", "leaves 2 values"),
    ],
)
def test_other_pickles_are_refused(content, said):
    with pytest.raises(Refused, match=said):
        interpreted(content)
