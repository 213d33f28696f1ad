"""The smallest ONNX graph, y = relu(x) of four numbers, to see whether a runtime works at all."""

__all__ = ["TINY_GRAPH"]

TINY_GRAPH = bytes.fromhex(
    "080712003a3e0a0f0a01781201791a0172220452656c751201675a130a0178120e0a0c"
    "080112080a0208010a02080462130a0179120e0a0c080112080a0208010a0208044204"
    "0a00100d"
)
"""Opset 13, IR version 7: every supported release reads it."""
