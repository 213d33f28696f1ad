"""ONNX forms of the package's own operators of torch."""

from __future__ import annotations

from typing import Any

import onnx
from onnxscript import opset18 as op

from anomedge.components import quantised as operators

__all__ = ["TRANSLATIONS"]


def _quantised(x: Any, scale: Any) -> Any:
    zero = op.Cast(op.Constant(value_int=0), to=onnx.TensorProto.INT8)
    return op.QuantizeLinear(x, scale, zero)


def _dequantised(x: Any, scale: Any) -> Any:
    # The axis is not read where the scale is a scalar. Not every runtime counts axes from the end.
    return op.DequantizeLinear(x, scale, axis=len(x.shape) - 1)


TRANSLATIONS: dict[Any, Any] = {
    operators.quantised._opoverload: _quantised,
    operators.dequantised._opoverload: _dequantised,
}
"""The argument `custom_translation_table` of `torch.onnx.export`."""
