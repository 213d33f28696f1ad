"""Metadata of ONNX and IR files, as programs find them."""

import pytest
from onnx import helper

from anomedge.bundle.metadata import metadata_of_ir, properties_of_onnx
from anomedge.bundle.protobuf import Spoilt

IR = """<net><layers>
<layer name="input" type="Parameter"><output><port><rt_info>
<attribute name="layout" layout="[N,C,H,W]" /></rt_info></port></output></layer>
<layer name="out" type="Result"><attribute name="layout" layout="[N,...]" /></layer>
</layers><rt_info><info name="x" value="y" /><model_info>{}</model_info></rt_info></net>"""


def graph(pairs):
    model = helper.make_model(helper.make_graph([], "g", [], []))
    for key, value in pairs:
        model.metadata_props.add(key=key, value=value)
    return model.SerializeToString()


def test_properties_of_a_graph():
    assert properties_of_onnx(graph([])) == {}
    pairs = {"a": "1", "model_info labels": "Normal Anomaly"}
    assert properties_of_onnx(graph(pairs.items())) == pairs


def test_a_repeated_property_has_another_value():
    assert properties_of_onnx(graph([("a", "1"), ("a", "2")])) == {"a": "1; 2"}


def test_bytes_that_are_no_message_are_refused():
    with pytest.raises(Spoilt):
        properties_of_onnx(b"\x72\x05ab")


def test_entries_of_an_ir():
    entries = '<labels value="A B" /><task value="segmentation" />'
    found = metadata_of_ir(IR.format(entries).encode())
    assert found.model_info == {"labels": "A B", "task": "segmentation"}
    assert found.input_layout == "[N,C,H,W]"


def test_repeated_and_nested_entries_have_other_values():
    entries = '<a value="1" /><a value="2" /><b value="3"><c value="4" /></b>'
    found = metadata_of_ir(IR.format(entries).encode())
    assert found.model_info == {"a": "1; 2", "b": "3 4"}


def test_an_ir_without_metadata_is_empty():
    assert metadata_of_ir(b"<net><layers /></net>") == ({}, "", {})
