"""Bytes that no constant names, and constants that nothing reads."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from anomedge.bundle.spare import (
    Span,
    spans_of_ir,
    spare_bytes,
    unused_parts,
)


@pytest.mark.parametrize(
    ("content", "spans", "spare"),
    [
        (b"abcd", [Span(0, 2), Span(2, 4)], 0),
        (b"abcd", [Span(2, 4), Span(0, 3)], 0),
        (b"abcdxy", [Span(0, 4)], 2),
        (b"ab\0\0cd", [Span(0, 2), Span(4, 6)], 0),
        (b"ab\0xcd", [Span(0, 2), Span(4, 6)], 2),
        (b"ab\0\0", [Span(0, 2)], 2),
        (b"ab", [], 2),
        (b"a" + bytes(1 << 16) + b"b", [Span(0, 1), Span(65537, 65538)], 65536),
        (b"", [], 0),
    ],
)  # fmt: skip
def test_bytes_outside_all_constants_are_counted(content, spans, spare):
    assert spare_bytes(content, spans) == spare


def graph(*constants, inputs=("a",)):
    node = helper.make_node("Relu", list(inputs), ["y"], name="n")
    out = helper.make_tensor_value_info("y", 1, [1])
    made = helper.make_graph([node], "g", [], [out], list(constants))
    return helper.make_model(made).SerializeToString()


def constant(name, count=3):
    return numpy_helper.from_array(np.zeros(count, np.float32), name)


def test_a_constant_that_no_node_reads():
    assert list(unused_parts(graph(constant("a")))) == []
    assert list(unused_parts(graph(constant("a"), constant("b")))) == [
        "constant 'b' is read by no node"
    ]
    assert list(unused_parts(graph(constant("a"), constant("y")))) == []


def test_long_names_are_compared_in_full():
    name = "a" * 100
    assert list(unused_parts(graph(constant(name), inputs=(name,)))) == []
    other = name[:-1] + "b"
    assert len(list(unused_parts(graph(constant(name), inputs=(other,))))) == 1


def test_a_constant_with_more_bytes_than_its_shape():
    large = constant("a")
    large.raw_data += b"more"
    assert list(unused_parts(graph(large))) == [
        "constant 'a' takes 16 bytes; expected 12"
    ]


def with_note(edit):
    made = onnx.ModelProto.FromString(graph(constant("a")))
    edit(made)
    return list(unused_parts(made.SerializeToString()))


@pytest.mark.parametrize(
    "edit",
    [
        lambda m: setattr(m, "doc_string", "12345"),
        lambda m: setattr(m.graph, "doc_string", "12345"),
        lambda m: setattr(m.graph.node[0], "doc_string", "12345"),
        lambda m: setattr(m.graph.initializer[0], "doc_string", "12345"),
        lambda m: m.graph.node[0].metadata_props.add(key="1"),
        lambda m: m.graph.value_info.add(name="123"),
    ],
)
def test_notes_are_counted(edit):
    (fault,) = with_note(edit)
    assert fault.startswith("has ")
    assert fault.endswith(" bytes of notes")


def test_properties_of_the_model_are_no_notes():
    assert with_note(lambda m: m.metadata_props.add(key="a", value="b")) == []


def test_a_node_that_nothing_reads():
    def dead(model):
        model.graph.node.add(op_type="Relu", input=["a"], output=["z"], name="d")  # fmt: skip

    assert with_note(dead) == ["node 'd' gives nothing that is read"]


IR = b"""<net><layers><layer id="0" name="c" type="Const">
<data element_type="%s" shape="2, 3" offset="8" size="%d"/></layer></layers>
<edges><edge from-layer="%d"/></edges></net>"""


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ((b"f32", 24, 0), None),
        ((b"f16", 12, 0), None),
        ((b"u4", 3, 0), None),
        ((b"f32", 28, 0), "constant 'c' takes 28 bytes; expected 24"),
        ((b"f32", 24, 1), "constant 'c' is read by no layer"),
        ((b"string", 24, 0), "constant 'c' takes 24 bytes; expected -1"),
    ],
)
def test_constants_of_an_ir(values, fault):
    spans, wrong = spans_of_ir(IR % values)
    assert spans == [Span(8, 8 + values[1])]
    assert wrong == ([] if fault is None else [fault])
