"""The preprocessing of an exported graph."""

import numpy as np
import pytest

from anomedge.errors import InputError, ModelError
from anomedge.interop.anomalib import import_native
from anomedge.interop.anomalib.onnx_graph import read_onnx
from anomedge.interop.anomalib.onnx_preprocessing import preprocessing_of_graph
from anomedge.resample import Geometry
from tests.interop.anomalib import builder, graphs


def test_a_graph_for_any_size_needs_a_size(tmp_path):
    path = graphs.write(
        "patchcore", tmp_path / "model.onnx", True, ("height", "width")
    )
    with pytest.raises(InputError, match="any size") as caught:
        import_native(path)
    assert "--size" in str(caught.value)
    assert import_native(path, size=(64, 64)).geometry == Geometry((64, 64))


def test_a_resize_in_the_graph_states_the_size(tmp_path):
    path = graphs.write(
        "patchcore",
        tmp_path / "model.onnx",
        True,
        ("height", "width"),
        resize=np.array(builder.SIZE),
    )
    imported = import_native(path)
    lines = {line.what: line.source for line in imported.taken}
    assert imported.geometry == Geometry(builder.SIZE)
    assert (lines["size"], lines["resize"]) == ("file", "computed")


def test_a_crop_in_the_graph_is_refused(tmp_path):
    path = graphs.write(
        "patchcore", tmp_path / "model.onnx", True, before=[("Slice", "a")]
    )
    with pytest.raises(ModelError, match="expected no crop"):
        import_native(path)


def stated(tmp_path, *steps, size=(32, 48), first=()):
    """The preprocessing of a graph with these operators before its convolution; values are columns of three."""
    graph, value = graphs.Graph(), "input"
    for kind, *others in first:
        value = graph.node(kind, value, *others)
    for number, (kind, values) in enumerate(steps):
        column = np.array(values, np.float32).reshape(1, 3, 1, 1)
        value = graph.node(kind, value, graph.constant(f"c{number}", column))
    weight = graph.constant("weight", np.ones((4, 3, 1, 1), np.float32))
    graph.ended(graph.node("Conv", value, weight), "pred_score", 1.0)
    path = graph.saved(tmp_path / "model.onnx", size)
    with read_onnx(path) as graph:
        return preprocessing_of_graph(graph)


def test_the_scaling_is_read_back_from_the_convolution(tmp_path):
    found = stated(tmp_path, ("Sub", [0.1, 0.2, 0.3]), ("Div", [0.4, 0.5, 0.6]))
    assert (found.mean, found.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert found.geometry == Geometry((32, 48))
    assert (found.antialias, found.note) == (None, "input")


@pytest.mark.parametrize(
    ("steps", "mean", "std"),
    [
        ((), (0, 0, 0), (1, 1, 1)),
        ([("Sub", [0.5, 0.5, 0.5])], (0.5, 0.5, 0.5), (1, 1, 1)),
        ([("Div", [0.5, 0.5, 0.5])], (0, 0, 0), (0.5, 0.5, 0.5)),
    ],
)
def test_a_missing_step_changes_nothing(tmp_path, steps, mean, std):
    found = stated(tmp_path, *steps)
    assert (found.mean, found.std) == (mean, std)


@pytest.mark.parametrize(
    "steps",
    [
        [("Div", [1, 1, 1]), ("Sub", [1, 1, 1])],
        [("Sub", [1, 1, 1]), ("Sub", [1, 1, 1])],
        [("Mul", [2, 2, 2])],
    ],
)
def test_other_operators_are_refused(tmp_path, steps):
    with pytest.raises(ModelError, match="a subtraction and a division"):
        stated(tmp_path, *steps)


def test_deviations_of_zero_are_refused(tmp_path):
    with pytest.raises(ModelError, match=r"expected deviations from 0\.0001"):
        stated(tmp_path, ("Div", [0.5, 0, 0.5]))


def test_operators_without_effect_are_passed_over(tmp_path):
    found = stated(tmp_path, ("Sub", [0.5] * 3), first=[("Identity",)])
    assert found.mean == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("size", [("h", "w"), (0, 48)])
def test_an_input_of_any_size_states_none(tmp_path, size):
    found = stated(tmp_path, size=size)
    assert found.geometry is None
    assert found.note == "the graph takes images of any size"
