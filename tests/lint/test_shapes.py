"""Shapes that depend on computed values, as far as memory allows."""

import onnx
import pytest
from onnx import helper

from anomedge.lint import examine
from anomedge.lint.reading import read_graph
from tests.lint.lint_cases import FLOAT, INT64, model, node, save


def vectors(*nodes, **constants):
    """A graph that computes a vector of numbers, y, and reads it once more."""
    nodes = [*nodes, helper.make_node("Cast", ["y"], ["z"], to=INT64)]
    return model(
        nodes, {"x": (FLOAT, ["B", 3])}, {"z": (INT64, None)}, constants
    )


DOUBLED = [
    helper.make_node("Concat", [f"v{i}"] * 2, [f"v{i + 1}"], axis=0)
    for i in range(40)
]
STACKED = [
    helper.make_node("Concat", [f"m{i}"] * 2, [f"m{i + 1}"], axis=0)
    for i in range(40)
]
RANGE = helper.make_node("Range", ["from", "to", "by"], ["y"])
LONG = {"from": 0, "to": 1 << 40, "by": 1}


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        vectors(RANGE, **LONG),
        vectors(
            helper.make_node("Mul", ["n", "n"], ["to"]),
            RANGE,
            **{"from": 0, "n": 1 << 20, "by": 1},
        ),
        vectors(*DOUBLED, helper.make_node("Identity", ["v40"], ["y"]), v0=[1]),
        vectors(
            helper.make_node("Unsqueeze", ["v", "axes"], ["m0"]),
            *STACKED,
            helper.make_node("Squeeze", ["m40", "ones"], ["y"]),
            v=[1],
            axes=[0],
            ones=[1],
        ),
        model(
            [node("Gather", ["x", "i"], ["y"])],
            {"x": (FLOAT, [1 << 40])},
            {"y": (FLOAT, [1])},
            {"i": [0]},
        ),
    ],
    ids=[
        "long",
        "of a computed length",
        "doubled",
        "doubled as matrices",
        "given",
    ],
)
def test_vectors_that_would_fill_the_memory_are_not_followed_here(
    case, tmp_path, monkeypatch
):
    asked, infer = [], onnx.shape_inference.infer_shapes

    def watched(proto, **options):
        asked.append(options.get("data_prop", False))
        return infer(proto)  # what is asked for is what would fill it

    monkeypatch.setattr(onnx.shape_inference, "infer_shapes", watched)
    assert examine(
        save(case, tmp_path / "vectors.onnx"), real=False
    ).graphs == ("vectors.onnx",)
    assert asked == [False]


@pytest.mark.parametrize(("scale", "known"), [(1, True), (1 << 40, False)])
def test_vectors_of_computed_lengths_are_followed_as_far_as_memory_allows(
    scale, known, tmp_path
):
    case = vectors(
        helper.make_node("Shape", ["x"], ["s"]), helper.make_node("ReduceProd", ["s"], ["p"], keepdims=0),
        helper.make_node("Gather", ["s", "one"], ["g"]), helper.make_node("Mul", ["g", "scale"], ["m"]),
        helper.make_node("ConstantOfShape", ["m"], ["y"]), one=[1], scale=[scale],
    )  # fmt: skip
    values = {
        value.name: value
        for _, value in read_graph(
            save(case, tmp_path / "vectors.onnx"), 8
        ).values
    }
    assert (values["z"].shape == (3,)) == known
