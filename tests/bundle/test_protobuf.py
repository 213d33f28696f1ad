"""Protocol buffers: the walk through an ONNX file, and bytes that no parser should take."""

import onnx
import pytest
from onnx import SparseTensorProto, TensorProto

from anomedge.bundle.protobuf import (
    FIXED32,
    FIXED64,
    LENGTHS,
    PARTS,
    VARINT,
    Spoilt,
    fields,
    read_varint,
    varint,
)


def test_every_message_that_may_hold_a_tensor_is_walked():
    """Against the format as `onnx` describes it."""
    kinds = {
        "model": onnx.ModelProto,
        "function": onnx.FunctionProto,
        "graph": onnx.GraphProto,
        "node": onnx.NodeProto,
    }
    kinds |= {
        "attribute": onnx.AttributeProto,
        "sparse": SparseTensorProto,
        "tensor": TensorProto,
    }
    kinds |= {"training": onnx.TrainingInfoProto}
    names = {message.DESCRIPTOR.name: kind for kind, message in kinds.items()}
    for kind, message in kinds.items():
        nested = {
            field.number: field.message_type
            for field in message.DESCRIPTOR.fields
            if field.message_type
        }
        assert PARTS[kind] == {
            number: names[of.name]
            for number, of in nested.items()
            if of.name in names
        }, kind


def test_numbers_of_more_than_64_bits_and_long_keys():
    assert [
        field.number
        for field in fields(varint(1 << 3 | VARINT) + varint(2**64 - 1), 0, 11)
    ] == [1]
    for content in (
        b"\x08" + bytes([0xFF] * 9 + [0x02]),
        b"\x88\x00\x01",
        varint(1 << 32 | 8) + b"\x01",
    ):
        with pytest.raises(Spoilt):
            list(fields(content, 0, len(content)))


@pytest.mark.parametrize(
    ("value", "bytes_"),
    [(0, "00"), (127, "7f"), (128, "8001"), (300, "ac02"), (2**64 - 1, "ff" * 9 + "01")],
)  # fmt: skip
def test_numbers_are_written_in_their_shortest_form_and_read_again(
    value, bytes_
):
    written = varint(value)
    assert written.hex() == bytes_
    assert read_varint(b"xx" + written, 2, 2 + len(written)) == (
        value,
        2 + len(written),
    )


def test_fields_of_every_wire_type_have_their_places():
    content = (
        varint(1 << 3 | VARINT) + varint(300)
        + varint(2 << 3 | FIXED64) + bytes(8)
        + varint(3 << 3 | LENGTHS) + varint(2) + b"ab"
        + varint(4 << 3 | FIXED32) + bytes(4)
    )  # fmt: skip
    assert [tuple(each) for each in fields(content, 0, len(content))] == [
        (1, VARINT, 0, 1, 3),
        (2, FIXED64, 3, 4, 12),
        (3, LENGTHS, 12, 14, 16),
        (4, FIXED32, 16, 17, 21),
    ]
    assert list(fields(content, 0, 0)) == []


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"\x0b\x0c", "wire type 3"),
        (b"\x02\x00", "ends outside its message"),
        (b"\x0a\x05ab", "ends outside its message"),
        (b"\x0d\x00\x00", "ends outside its message"),
        (b"\x08\x80", "unterminated"),
        (b"\x08" + b"\x80" * 11, "unterminated"),
    ],
    ids=["group", "number zero", "length", "fixed", "cut", "endless"],
)
def test_bytes_that_are_no_message_are_refused(content, fault):
    with pytest.raises(Spoilt, match=fault):
        list(fields(content, 0, len(content)))
