"""A cut graph is the graph of stages with every read of a stage replaced, and nothing else."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from anomedge.export.graphs import cut_at_outputs
from anomedge.parity.belonging import GIVEN, fault_of_segments


def value(name):
    return helper.make_tensor_value_info(name, 1, ["batch", 2])


def whole():
    nodes = [
        helper.make_node("Mul", ["frames", "two"], ["a"], name="first"),
        helper.make_node("Add", ["a", "a"], ["b"], name="second"),
    ]
    two = numpy_helper.from_array(np.float32([2, 2]), "two")
    outputs = [value("a"), value("b")]
    graph = helper.make_graph(nodes, "g", [value("frames")], outputs, [two])
    return helper.make_model(graph)


def fault(edit):
    cut = cut_at_outputs(whole(), GIVEN)
    edit(cut)
    return fault_of_segments(
        whole().SerializeToString(), cut.SerializeToString()
    )


def test_the_export_cuts_at_every_stage():
    assert fault(lambda cut: None) == ""
    cut = cut_at_outputs(whole(), GIVEN)
    assert [v.name for v in cut.graph.input] == ["frames", "given/a"]


def renamed_input(cut):
    cut.graph.node[1].input[0] = "a"


def another_constant(cut):
    cut.graph.initializer[0].raw_data = np.float32([2, 3]).tobytes()


def another_operator(cut):
    cut.graph.node[1].op_type = "Mul"


def one_more_node(cut):
    cut.graph.node.append(helper.make_node("Relu", ["b"], ["c"], name="third"))


def one_input_less(cut):
    del cut.graph.input[1]


def another_opset(cut):
    cut.opset_import[0].version += 1


def one_output_more(cut):
    cut.graph.output.append(value("a"))


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        (renamed_input, "node 'second' differs"),
        (another_operator, "node 'second' differs"),
        (one_more_node, "node 'third' differs"),
        (another_constant, "its constants or outputs differ"),
        (one_output_more, "its constants or outputs differ"),
        (one_input_less, "its inputs differ"),
        (another_opset, "its header differs"),
    ],
)
def test_every_difference_is_named(edit, named):
    assert fault(edit) == named


def test_another_file_is_no_cut_graph():
    stages = whole().SerializeToString()
    assert fault_of_segments(stages, stages) == "node 'second' differs"
    assert "no valid ONNX graph" in fault_of_segments(stages, stages[:-1])
    assert fault_of_segments(stages, b"") == "its header differs"


def test_the_cut_graphs_of_exported_bundles_belong(bundle):
    variant = bundle.variant("fp32")
    stages, cut = (
        bundle.read(variant.graph(role)) for role in ("stages", "segments")
    )
    assert fault_of_segments(stages, cut) == ""
    assert onnx.ModelProto.FromString(cut).graph.input[1].name.startswith(GIVEN)
