"""Rounding to int8 and back, as ONNX defines QuantizeLinear and DequantizeLinear."""

import numpy as np
import torch
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from anomedge.components.quantised import dequantised, quantised


def by_onnx(kind, x, scale):
    node = helper.make_node(
        kind, ["x", "scale", "zero"], ["y"], axis=x.ndim - 1
    )
    given = [
        helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None)
        for name in ("x", "scale", "zero", "y")
    ]
    graph = helper.make_graph([node], "g", given[:3], given[3:])
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 19)]
    )
    zero = np.zeros(scale.shape, np.int8)
    feed = {"x": x, "scale": scale, "zero": zero}
    return ReferenceEvaluator(model).run(None, feed)[0]


def test_rounding_is_that_of_onnx():
    x = torch.linspace(-200, 200, 4001) / 2
    for step in (0.5, 1 / 127):
        scale = torch.tensor(step)
        expected = by_onnx("QuantizeLinear", x.numpy(), scale.numpy())
        np.testing.assert_array_equal(quantised(x, scale).numpy(), expected)


def test_scales_are_those_of_the_last_axis():
    x = torch.randint(-127, 128, (2, 3, 4), dtype=torch.int8)
    scales = torch.rand(4)
    expected = by_onnx("DequantizeLinear", x.numpy(), scales.numpy())
    np.testing.assert_allclose(dequantised(x, scales), expected, rtol=1e-6)
    assert dequantised(x, torch.tensor(2.0)).tolist() == (2.0 * x).tolist()


def test_both_are_operators_of_torch():
    """Their shapes and types without values are those of their results."""
    scale = torch.tensor(0.5)
    torch.library.opcheck(quantised, (torch.randn(2, 3), scale))
    integers = torch.zeros(2, 3, dtype=torch.int8)
    torch.library.opcheck(dequantised, (integers, scale))
