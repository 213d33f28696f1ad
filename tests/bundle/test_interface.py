"""Inputs, outputs and operator sets as the files state them."""

import onnx
import pytest
from onnx import TensorProto, helper

from anomedge.bundle.interface import (
    Value,
    interface_of_ir,
    interface_of_onnx,
    opsets_of_onnx,
)
from anomedge.bundle.protobuf import Spoilt


def value(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def model(inputs, outputs):
    graph = helper.make_graph([], "g", inputs, outputs)
    opset = helper.make_opsetid("", 17)
    return helper.make_model(graph, opset_imports=[opset])


def test_names_types_and_shapes_in_order():
    made = model(
        [value("frames", ["batch", 4, 6, 3], TensorProto.UINT8)],
        [value("score", [2]), value("mask", [2, 1], TensorProto.BOOL)],
    )
    found = interface_of_onnx(made.SerializeToString())
    assert found.inputs == (Value("frames", "uint8", (None, 4, 6, 3)),)
    assert found.outputs == (
        Value("score", "float32", (2,)),
        Value("mask", "bool", (2, 1)),
    )
    assert str(found.inputs[0]) == "frames: uint8 (?, 4, 6, 3)"
    assert opsets_of_onnx(made.SerializeToString()) == [("", 17)]


def test_an_input_with_a_default_value_is_an_input():
    made = model([value("frames", [1]), value("bias", [1])], [])
    made.graph.initializer.append(
        helper.make_tensor("bias", TensorProto.FLOAT, [1], [0.0])
    )
    found = interface_of_onnx(made.SerializeToString())
    assert [each.name for each in found.inputs] == ["frames", "bias"]


def test_a_value_that_is_no_tensor():
    made = model([], [])
    kind = helper.make_sequence_type_proto(
        helper.make_tensor_type_proto(TensorProto.FLOAT, [1])
    )
    made.graph.output.append(helper.make_value_info("many", kind))
    (found,) = interface_of_onnx(made.SerializeToString()).outputs
    assert found.dtype == "no tensor"


def test_a_repeated_field_is_refused():
    made = model([value("x", [1])], [])
    inner = made.graph.input[0].SerializeToString()
    twice = inner + value("y", [1]).SerializeToString()
    graph = onnx.GraphProto()
    text = b"\x5a" + bytes([len(twice)]) + twice
    assert graph.FromString(text).input[0].name == "y"
    with pytest.raises(Spoilt, match="repeated"):
        interface_of_onnx(b"\x3a" + bytes([len(text)]) + text)


def test_all_operator_sets_in_order():
    made = model([], [])
    made.opset_import.append(helper.make_opsetid("mine", 3))
    assert opsets_of_onnx(made.SerializeToString()) == [("", 17), ("mine", 3)]


IR = b"""<net><layers>
<layer id="0" name="frames" type="Parameter"><output>
<port id="0" precision="U8" names="frames"><dim>-1</dim><dim>4</dim></port></output></layer>
<layer id="1" name="node" type="Relu"><output>
<port id="2" precision="FP32" names="%s"><dim>-1</dim></port></output></layer>
<layer id="2" name="score/sink_port_0" type="Result"><input>
<port id="0" precision="FP32"><dim>-1</dim></port></input></layer>
</layers><edges><edge from-layer="1" from-port="2" to-layer="2" to-port="0"/></edges></net>"""


@pytest.mark.parametrize(
    ("names", "shown"), [(b"other,score", "score"), (b"other", "other")]
)
def test_an_output_of_an_ir_has_the_name_of_its_layer_or_its_tensor(
    names, shown
):
    found = interface_of_ir(IR % names)
    assert found.inputs == (Value("frames", "uint8", (None, 4)),)
    assert found.outputs == (Value(shown, "float32", (None,)),)


def test_an_ir_states_what_its_onnx_graph_states(bundle):
    variant = bundle.variant("fp32")
    ir = variant.find(format="openvino")
    if ir is None:
        pytest.skip("the bundle has no IR: openvino is not installed")
    assert interface_of_ir(bundle.read(ir)) == interface_of_onnx(
        bundle.read(variant.graph())
    )
