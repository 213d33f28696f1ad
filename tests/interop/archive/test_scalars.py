"""Numbers, text, bytes and constants of pickles."""

import pytest

from anomedge.interop.archive.limits import Refused
from tests.interop.archive.making import content_of, write_archive
from tests.interop.archive.running import value


def test_escapes_of_python_2_do_not_warn(tmp_path):
    path = write_archive(tmp_path / "file.pt", rb"S'\q\x41'" + b"\n.")
    assert content_of(path) == r"\q" + "A"


@pytest.mark.parametrize(
    ("opcodes", "made"),
    [
        ("NONE", None),
        ("NEWTRUE", True),
        ("NEWFALSE", False),
        ([("BININT", -5)], -5),
        ([("LONG1", 1 << 2039)], 1 << 2039),
        ([("BINFLOAT", 0.1)], 0.1),
        ([("BINUNICODE", "é")], "é"),
        ([("BINBYTES", b"\xff")], b"\xff"),
        ([("BYTEARRAY8", bytearray(b"ab"))], b"ab"),
        ([("BINSTRING", "Ã©")], "é"),
        ([("PROTO", 5), ("FRAME", 9), "NONE", "STOP"], None),
    ],
)
def test_values_are_those_of_the_pickle(opcodes, made):
    found = value(opcodes)
    assert found == made
    assert type(found) is type(made)


def test_values_are_doubled_dropped_and_remembered():
    assert value("DUP TUPLE2", 1) == (1, 1)
    assert value("POP", 1, 2) == 1
    assert value("POP_MARK", 1, "MARK", 2, 3) == 1
    kept = ["MEMOIZE", ("BINPUT", 9), "POP", ("GET", 0), ("LONG_BINGET", 9)]
    assert value([*kept, "TUPLE2"], 7) == (7, 7)


@pytest.mark.parametrize(
    ("opcode", "said"),
    [
        (("PROTO", 6), "protocol 6; expected at most 5"),
        (("LONG4", 1 << 2040), "an integer of 2041 bits"),
        (("INT", -(1 << 3000)), "an integer of 3001 bits"),
    ],
)
def test_protocols_and_integers_have_limits(opcode, said):
    with pytest.raises(Refused, match=said):
        value([opcode])


def test_text_of_python_2_has_to_be_utf_8():
    with pytest.raises(UnicodeDecodeError):
        value([("SHORT_BINSTRING", "\xff")])
