"""Notes that programs could read and that no proof compares."""

import onnx
import pytest
from onnx import helper

from anomedge.bundle.notes import notes_of_ir, notes_of_onnx
from anomedge.bundle.operators import faults_of_onnx

WRITER = '<info name="OpenVINO Runtime" value="2026.4.1-22982/x" />'
INFO = '<model_info><labels value="A B" /></model_info>'
IR = """<net><layers><layer><output><port>{1}</port></output></layer></layers>
<rt_info>{0}</rt_info></net>"""
PORT = '<rt_info><attribute name="{}" version="0" /></rt_info>'


def notes(entries, port="", is_layout=True):
    content = IR.format(entries, port).encode()
    return list(notes_of_ir(content, is_layout=is_layout))


def test_the_writers_notes_are_known():
    assert notes(WRITER + INFO, PORT.format("layout")) == []
    assert notes(WRITER, PORT.format("fused_names"), is_layout=False) == []
    assert notes("") == []


def test_metadata_of_model_api_are_a_layouts_alone():
    assert notes(INFO, is_layout=False) == [
        "has notes: 'model_info' in rt_info"
    ]
    assert notes("", PORT.format("layout"), is_layout=False) == [
        "has notes: 'layout' of a layer"
    ]


@pytest.mark.parametrize(
    "entry",
    [
        '<info name="model_info"><labels value="B A" /></info>',
        '<info name="model_info" value="x" />',
        "<runtime_options><INFERENCE_PRECISION_HINT value='bf16' /></runtime_options>",
        WRITER.replace("2026", "threshold=1e9"),
        WRITER.replace(" />", "><a value='1' /></info>"),
        INFO,
        "<framework />",
    ],
)
def test_other_sections_are_named(entry):
    (fault,) = notes(WRITER + INFO + entry)
    assert fault.startswith("has notes: ")


@pytest.mark.parametrize(
    "info",
    [
        '<model_info name="x"></model_info>',
        '<model_info><a value="1" note="2" /></model_info>',
        '<model_info><a value="1"><b /></a></model_info>',
        '<model_info><a value="1" /><a value="2" /></model_info>',
    ],
)
def test_an_entry_is_a_plain_value_and_occurs_once(info):
    assert len(notes(info)) == 1


def graph(edit=lambda model: None):
    value = helper.make_tensor_value_info("y", 1, [1, "b"])
    made = helper.make_graph([], "anomedge", [value], [value])
    model = helper.make_model(made, producer_name="anomedge")
    edit(model)
    return model.SerializeToString()


@pytest.mark.parametrize("is_layout", [True, False])
def test_a_graph_of_the_export_has_no_notes(is_layout):
    assert list(notes_of_onnx(graph(), is_layout=is_layout)) == []

    def described(model):
        model.graph.input[0].doc_string = ""

    assert list(notes_of_onnx(graph(described), is_layout=is_layout)) == []


@pytest.mark.parametrize(
    "edit",
    [
        lambda m: setattr(m, "producer_name", "threshold=1e9"),
        lambda m: setattr(m, "producer_version", "1"),
        lambda m: setattr(m, "domain", "x" * 10_000),
        lambda m: setattr(m.graph, "name", "x"),
        lambda m: setattr(m.graph.input[0], "doc_string", "x"),
        lambda m: setattr(m.graph.output[0].type, "denotation", "x"),
        lambda m: setattr(m.graph.output[0].type.tensor_type.shape.dim[0], "denotation", "x"),
        lambda m: m.graph.input[0].metadata_props.add(key="a"),
    ],
)  # fmt: skip
def test_texts_are_notes_of_any_graph(edit):
    content = graph(edit)
    assert list(faults_of_onnx(content)) == []
    (fault,) = notes_of_onnx(content, is_layout=True)
    assert fault.startswith("has notes: ")
    assert len(fault) < 120


def test_properties_are_a_layouts_alone():
    content = graph(lambda m: m.metadata_props.add(key="a", value="b"))
    assert list(notes_of_onnx(content, is_layout=True)) == []
    assert list(notes_of_onnx(content, is_layout=False)) == [
        "has notes: properties, which layouts alone have"
    ]


def test_a_property_has_one_key_and_one_value():
    key, value = b"\x0a\x01a", b"\x12\x01b"
    for entry in (key + key + value, key + value + b"\x1a\x01c"):
        added = b"\x72" + bytes([len(entry)]) + entry
        content = graph() + added
        onnx.ModelProto.FromString(content)
        assert len(list(notes_of_onnx(content, is_layout=True))) == 1
