"""Convert a graph of opset 18 to opset 17, node by node.

Torch writes opset 18 and later only. Its own conversion leaves the whole graph unconverted, with a warning, if it meets
one `Pad`. The operators of our graphs differ between the two opsets mainly in where `axes` is stated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import onnx
from onnx import helper, numpy_helper

from anomedge.errors import ExportError
from anomedge.export.graphs import assert_opset, drop_unused, remove_attribute
from anomedge.export.passes.base import Pass

__all__ = ["LowerOpset"]

Constants = Mapping[str, onnx.TensorProto]
Lowering = Callable[[onnx.NodeProto, Constants], None]


class LowerOpset(Pass):
    """Convert to the target's opset.

    Requires: one opset import, of the default domain.
    Ensures: every operator keeps its meaning; the opset is the target's.
    """

    name = "lower_opset"
    after = (
        "keep_zeros_before_pools",
        "pack_zeros",
        "plain_reshapes",
        "select_channels_early",
    )

    def requires(self, model: onnx.ModelProto) -> None:
        """Raise ExportError for several operator sets, or a conversion other than 18 to 17."""
        written = model.opset_import[0].version
        assert_opset(model, written)
        wanted = self.target.opset
        if wanted < written and (written, wanted) != (18, 17):
            raise ExportError(
                f"got opset {wanted} from a graph of {written}; expected 17, 18 or what torch writes: give --opset 17"
            )

    def rewrite(self, model: onnx.ModelProto) -> bool:
        """Convert the nodes whose operators changed in opset 18."""
        if self.target.opset >= model.opset_import[0].version:
            return False
        constants = {tensor.name: tensor for tensor in model.graph.initializer}
        for node in model.graph.node:
            if onnx.defs.get_schema(node.op_type, 18).since_version == 18:
                _LOWERINGS.get(node.op_type, _refuse)(node, constants)
        del model.opset_import[:]
        model.opset_import.append(helper.make_opsetid("", self.target.opset))
        drop_unused(model)
        return True

    def ensures(self, model: onnx.ModelProto) -> None:
        """Raise ExportError if the opset is not the target's."""
        assert_opset(model, self.target.opset)


def _axes_to_attribute(node: onnx.NodeProto, constants: Constants) -> None:
    """Reductions: `axes` is an attribute up to opset 17 and an input from 18."""
    if len(node.input) < 2:
        _without_noop(node, constants)
        return
    axes = constants.get(node.input[1])
    if axes is None:
        raise ExportError(
            f"node {node.name}: axes computed at run time; expected a constant"
        )
    del node.input[1:]
    remove_attribute(node, "noop_with_empty_axes")
    values = numpy_helper.to_array(axes).tolist()
    node.attribute.append(helper.make_attribute("axes", values))


def _without_noop(node: onnx.NodeProto, constants: Constants) -> None:
    """Reductions of all axes: opset 18 added an attribute that turns them off."""
    noops = [a.i for a in node.attribute if a.name == "noop_with_empty_axes"]
    if any(noops):
        _refuse(node, constants)
    remove_attribute(node, "noop_with_empty_axes")


def _refuse_axes(node: onnx.NodeProto, _: Constants) -> None:
    """Pad: opset 18 added the optional input `axes` and the mode wrap."""
    if len(node.input) > 3 and node.input[3]:
        raise ExportError(
            f"node {node.name}: Pad over chosen axes needs opset 18; give --opset 18"
        )


def _without_count(node: onnx.NodeProto, _: Constants) -> None:
    """Split: opset 18 added `num_outputs`; 17 infers it from the number of outputs."""
    remove_attribute(node, "num_outputs")


def _refuse_extremes(node: onnx.NodeProto, constants: Constants) -> None:
    """Scatter: opset 18 added the reductions max and min."""
    reductions = [each.s for each in node.attribute if each.name == "reduction"]
    if reductions in ([b"max"], [b"min"]):
        _refuse(node, constants)


def _refuse(node: onnx.NodeProto, _: Constants) -> None:
    raise ExportError(
        f"node {node.name} is a {node.op_type} that cannot be said in opset 17; give --opset 18"
    )


_LOWERINGS: dict[str, Lowering] = {
    "Pad": _refuse_axes,
    "ReduceL1": _axes_to_attribute,
    "ReduceL2": _axes_to_attribute,
    "ReduceLogSum": _axes_to_attribute,
    "ReduceLogSumExp": _axes_to_attribute,
    "ReduceMax": _axes_to_attribute,
    "ReduceMean": _axes_to_attribute,
    "ReduceMin": _axes_to_attribute,
    "ReduceProd": _axes_to_attribute,
    "ReduceSumSquare": _axes_to_attribute,
    "ScatterElements": _refuse_extremes,
    "ScatterND": _refuse_extremes,
    "Split": _without_count,
}
