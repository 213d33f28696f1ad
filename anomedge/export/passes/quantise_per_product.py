"""Give each product its own QuantizeLinear and DequantizeLinear.

ONNX Runtime multiplies in integers only where nothing else reads the quantised values: with one QuantizeLinear for several
products, all of them are computed in float32. The copies round the same numbers in the same way.
"""

from __future__ import annotations

import onnx

from anomedge.export.passes.base import Pass

__all__ = ["QuantisePerProduct"]


class QuantisePerProduct(Pass):
    """Copy a pair of QuantizeLinear and DequantizeLinear, with its scale, for each reader but the first.

    Ensures: values are unchanged; every QuantizeLinear has one reader, and every DequantizeLinear behind one.
    """

    name = "quantise_per_product"
    after = ("plain_reshapes",)

    def rewrite(self, model: onnx.ModelProto) -> bool:
        """Copy the pairs."""
        graph = model.graph
        rounded = {
            node.output[0]: node
            for node in graph.node
            if node.op_type == "QuantizeLinear"
        }
        pairs = {
            node.output[0]: (rounded[node.input[0]], node)
            for node in graph.node
            if node.op_type == "DequantizeLinear" and node.input[0] in rounded
        }
        nodes: list[onnx.NodeProto] = []
        seen: dict[str, int] = {}
        for node in graph.node:
            for place, name in enumerate(node.input):
                if name not in pairs:
                    continue
                count = seen[name] = seen.get(name, 0) + 1
                if count > 1:
                    copies = _copies(graph, *pairs[name], f".{count}")
                    nodes += copies
                    node.input[place] = copies[1].output[0]
            nodes.append(node)
        if len(nodes) == len(graph.node):
            return False
        copied = [_copied(node) for node in nodes]
        del graph.node[:]
        graph.node.extend(copied)
        return True


def _copies(
    graph: onnx.GraphProto,
    rounding: onnx.NodeProto,
    scaling: onnx.NodeProto,
    suffix: str,
) -> list[onnx.NodeProto]:
    """Return copies of a pair with a scale of their own, because runtimes merge nodes with equal inputs."""
    first, second = _copied(rounding), _copied(scaling)
    scale = next(t for t in graph.initializer if t.name == rounding.input[1])
    own = onnx.TensorProto()
    own.CopyFrom(scale)
    own.name = f"{rounding.output[0]}.scale{suffix}"
    graph.initializer.append(own)
    for node in (first, second):
        node.name += suffix
        node.output[0] += suffix
        node.input[1] = own.name
    second.input[0] = first.output[0]
    return [first, second]


def _copied(node: onnx.NodeProto) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    return copy
