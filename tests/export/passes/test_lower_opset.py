import onnx
import pytest
from onnx import helper

from anomedge.errors import ExportError
from anomedge.export.passes.base import Target
from anomedge.export.passes.lower_opset import LowerOpset
from tests.export.passes.graphs import AXES, TARGET, model_of


def test_reductions_are_lowered():
    model = model_of(
        helper.make_node("ReduceMax", ["frames", "axes"], ["y"], keepdims=1),
        initializers=[AXES],
    )
    LowerOpset(TARGET).apply(model)
    assert [a.name for a in model.graph.node[0].attribute] == [
        "keepdims",
        "axes",
    ]
    assert list(model.graph.node[0].input) == ["frames"]
    assert not model.graph.initializer
    onnx.checker.check_model(model, full_check=True)


def test_reductions_of_all_axes_are_lowered():
    node = helper.make_node(
        "ReduceMax", ["frames"], ["y"], keepdims=1, noop_with_empty_axes=0
    )
    model = model_of(node)
    LowerOpset(TARGET).apply(model)
    assert [a.name for a in model.graph.node[0].attribute] == ["keepdims"]
    onnx.checker.check_model(model, full_check=True)


@pytest.mark.parametrize(
    "node",
    [
        helper.make_node("ReduceMax", ["frames", "computed"], ["y"]),
        helper.make_node(
            "ReduceMax", ["frames"], ["y"], noop_with_empty_axes=1
        ),
        helper.make_node("CenterCropPad", ["frames", "axes"], ["y"]),
        helper.make_node("Pad", ["frames", "axes", "", "axes"], ["y"]),
        helper.make_node(
            "ScatterND", ["frames", "axes", "frames"], ["y"], reduction="max"
        ),
    ],
)
def test_operators_without_an_older_form_are_named(node):
    with pytest.raises(ExportError, match="node"):
        LowerOpset(TARGET).apply(model_of(node, initializers=[AXES]))


@pytest.mark.parametrize("reduction", [{}, {"reduction": "add"}])
def test_scatter_without_extremes_is_the_same(reduction):
    node = helper.make_node(
        "ScatterND", ["frames", "axes", "frames"], ["y"], **reduction
    )
    model = model_of(node, initializers=[AXES])
    LowerOpset(TARGET).apply(model)
    assert model.graph.node[0] == node


def test_a_graph_of_the_asked_opset_is_unchanged():
    model = model_of(helper.make_node("Relu", ["frames"], ["y"]), opset=17)
    assert not LowerOpset(TARGET).apply(model)


def test_other_conversions_are_refused():
    model = model_of(helper.make_node("Relu", ["frames"], ["y"]), opset=20)
    with pytest.raises(ExportError, match="got opset 18 from a graph of 20"):
        LowerOpset(Target(18, None, (4, 4))).apply(model)
