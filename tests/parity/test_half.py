"""A half precision's graphs hold float16; one that does not is named."""

from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from anomedge.parity.half import HALF, check_half, is_half


def graph(dtype):
    """An ONNX file that adds a constant."""
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    nodes = [
        helper.make_node("Cast", ["c"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["x", "f"], ["y"]),
    ]
    constant = numpy_helper.from_array(np.ones(1, dtype), "c")
    made = helper.make_graph(nodes, "g", [value], [result], [constant])
    model: onnx.ModelProto = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", 17)]
    )
    return model.SerializeToString()


def ir(kind):
    return (
        f'<net><layers><layer id="0" name="c" type="Const" version="opset1"><data element_type="{kind}" shape="1" '
        f'offset="0" size="2"/></layer></layers><edges/></net>'
    ).encode()


def checked(precision="fp16", **files):
    named = {name.replace("_", "."): content for name, content in files.items()}
    bundle = SimpleNamespace(
        variant=lambda _: SimpleNamespace(files=lambda: tuple(named)),
        read=named.__getitem__,
    )
    return list(check_half(bundle, precision, "ort"))


def test_graphs_with_float16_pass():
    (check,) = checked(model_onnx=graph(np.float16), model_xml=ir("f16"))
    assert (check.name, check.passed, check.detail) == (HALF, True, "")


@pytest.mark.parametrize(
    "files",
    [
        {"model_onnx": graph(np.float32), "other_onnx": graph(np.float16)},
        {"model_xml": ir("f32"), "other_onnx": graph(np.float16)},
        {"model_onnx": b"\xca\x01\x00"},
        {"model_xml": b"<net"},
    ],
)
def test_a_graph_without_float16_is_named(files):
    (check,) = checked(**files)
    name = next(iter(files)).replace("_", ".")
    assert check.detail == f"no constant in float16 in {name}"


def test_other_precisions_have_no_such_check():
    assert not is_half("fp32")
    assert not is_half("int8")
    assert not is_half("fp16-storage")
    assert checked("fp32", model_onnx=graph(np.float32)) == []
