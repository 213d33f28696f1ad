"""Files that are too large, and data beside a graph that is not where the graph says. No path in a file is trusted."""

import os

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from anomedge.bundle.protobuf import varint
from anomedge.errors import InputError
from anomedge.lint import available, examine, vendors
from anomedge.lint.reading import read_graph
from tests.lint.lint_cases import CASES, FLOAT, INT64, model, node, save

GIBIBYTE = 1 << 30


def sparse(path, size):
    """A graph with one stored tensor of so many bytes of nothing, which take no room on the disk."""
    case = model(
        [node("MatMul", ["x", "w"], ["y"])],
        {"x": (FLOAT, ["B", size // 4])},
        {"y": (FLOAT, ["B", 1])},
    )
    tensor = TensorProto(
        name="w", dims=[size // 4, 1], data_type=FLOAT
    ).SerializeToString()
    tensor += b"\x4a" + varint(size)  # raw_data, whose bytes follow
    graph = (
        case.graph.SerializeToString()
        + b"\x2a"
        + varint(len(tensor) + size)
        + tensor
    )
    case.ClearField("graph")
    head = (
        case.SerializeToString() + b"\x3a" + varint(len(graph) + size) + graph
    )
    path.write_bytes(head)
    os.truncate(path, len(head) + size)
    return path


def test_a_file_past_two_gibibytes_is_named_and_still_linted(tmp_path):
    path = sparse(tmp_path / "large.onnx", 2 * GIBIBYTE)
    findings = examine(path, real=False).findings
    assert {f.target for f in findings if f.rule == "file-size"} == set(
        available()
    )
    assert {f.severity for f in findings if f.rule == "file-size"} == {"error"}
    assert {
        (f.target, f.severity) for f in findings if f.rule == "tensor-bytes"
    } == {
        (target, "warning")
        for target in available()
        if target.startswith(("tensorrt", "rtx", "openvino-gpu"))
    }
    # The other factor has it at eight frames.
    below = sparse(tmp_path / "below.onnx", GIBIBYTE // 8)
    assert not [
        f
        for f in examine(below, real=False).findings
        if f.rule in {"file-size", "tensor-bytes"}
    ]


def beside(folder, **entries):
    """A graph whose weights, 24 bytes, are said to lie where the entries say; `weights.bin` has 32 bytes."""
    weights = np.arange(6, dtype=np.float32).reshape(3, 2)
    case = model(
        [node("MatMul", ["x", "w"], ["y"])],
        {"x": (FLOAT, ["B", 3])},
        {"y": (FLOAT, ["B", 2])},
        {"w": weights},
    )
    tensor = case.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.append(
            onnx.StringStringEntryProto(key=key, value=value)
        )
    (folder / "weights.bin").write_bytes(bytes(32))
    return save(case, folder / "graph.onnx")


@pytest.mark.parametrize(
    "entries",
    [
        {"offset": "0", "length": "24"},
        {"offset": "8"},
        {"offset": "8", "length": "24"},
    ],
    ids=lambda entries: "-".join(entries.values()),
)
def test_data_that_is_there(entries, tmp_path):
    path = beside(tmp_path, location="weights.bin", **entries)
    report = examine(path)
    assert not [
        f for f in report.findings if f.rule in {"external-data", "vendor"}
    ]
    assert {run.tool for run in report.runs if run.steps} >= {"openvino"}


@pytest.mark.parametrize(
    "entries, said",
    [
        (
            {"location": "../weights.bin", "length": "24"},
            "no plain path inside the folder",
        ),
        (
            {"location": "/etc/passwd", "length": "24"},
            "no plain path inside the folder",
        ),
        (
            {"location": "a/../weights.bin", "length": "24"},
            "no plain path inside the folder",
        ),
        (
            {"location": "link.bin", "length": "24"},
            "no plain path inside the folder",
        ),
        (
            {"location": "C:weights.bin", "length": "24"},
            "no plain path inside the folder",
        ),
        ({"location": ""}, "no plain path inside the folder"),
        ({"location": "missing.bin", "length": "24"}, "no file here"),
        ({"location": "folder", "length": "24"}, "no file here"),
        ({"location": "x" * 5000, "length": "24"}, "cannot be read"),
        (
            {"location": "weights.bin", "offset": "16", "length": "24"},
            "ends at byte 40",
        ),
        ({"location": "weights.bin", "offset": "99"}, "ends at byte"),
        (
            {"location": "weights.bin", "offset": "-8", "length": "24"},
            "is no number",
        ),
        (
            {"location": "weights.bin", "offset": "9" * 40, "length": "24"},
            "is no number",
        ),
        (
            {"location": "weights.bin", "offset": "²", "length": "24"},
            "is no number",
        ),
        (
            {"location": "weights.bin", "length": "20"},
            "20 bytes where its shape needs 24",
        ),
        ({"location": "weights.bin"}, "32 bytes where its shape needs 24"),
    ],
)
def test_data_that_is_elsewhere_is_named_and_no_vendor_gets_the_file(
    entries, said, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        vendors,
        "ask",
        lambda *_: pytest.fail("a vendor was given a file that lies"),
    )
    path = beside(tmp_path, **entries)
    (tmp_path / "link.bin").symlink_to(tmp_path / "weights.bin")
    (tmp_path / "folder").mkdir()
    report = examine(path)
    findings = [f for f in report.findings if f.rule == "external-data"]
    assert [f.target for f in findings] == available()
    for finding in findings:
        assert (finding.severity, finding.node) == ("error", "w")
        assert said in finding.message
    assert all(
        not run.steps and "not where it says" in run.reason
        for run in report.runs
    )


def test_functions_that_double_are_refused_before_they_are_written_out(
    tmp_path,
):
    case = model(
        [node("f40", ["x"], ["y"])], {"x": (FLOAT, [1])}, {"y": (FLOAT, [1])}
    )
    case.graph.node[0].domain = "own"
    case.opset_import.append(onnx.helper.make_opsetid("own", 1))
    for number in range(41):
        inner = [("f" + str(number - 1), "own") if number else ("Relu", "")] * 2
        nodes = [
            onnx.helper.make_node(op, [source], [made], domain=domain)
            for (op, domain), source, made in zip(
                inner, ("x", "z"), ("z", "y"), strict=True
            )
        ]
        opsets = [
            onnx.helper.make_opsetid("", 17),
            onnx.helper.make_opsetid("own", 1),
        ]
        case.functions.append(
            onnx.helper.make_function(
                "own", f"f{number}", ["x"], ["y"], nodes, opsets
            )
        )
    (tmp_path / "doubling.onnx").write_bytes(case.SerializeToString())
    with pytest.raises(
        InputError, match=r"got 2\.2e\+12 nodes with its functions written out"
    ):
        examine(tmp_path / "doubling.onnx", real=False)


def test_shapes_without_end_are_refused(tmp_path):
    case = model([node("Relu", ["w"], ["y"])], {}, {"y": (FLOAT, [1])})
    case.graph.initializer.append(
        TensorProto(name="w", dims=[1 << 62] * 240, data_type=FLOAT)
    )
    (tmp_path / "endless.onnx").write_bytes(case.SerializeToString())
    with pytest.raises(
        InputError, match="a value of 240 dimensions; expected 64 at most"
    ):
        examine(tmp_path / "endless.onnx", real=False)


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


def relu(given, made):
    return helper.make_node("Relu", [given], [made], name=f"of {given}")


def branches(inner):
    """Two of them, which give what nodes within make of the x outside."""
    graph = helper.make_graph(
        inner, "branch", [], [helper.make_tensor_value_info("z", FLOAT, None)]
    )
    return helper.make_node(
        "If", ["c"], ["y"], then_branch=graph, else_branch=graph
    )


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ([relu("x", "y"), relu("x", "y")], "'y' is made twice"),
        ([relu("x", "x"), relu("x", "y")], "'x' is made twice"),
        (
            [relu("nowhere", "y")],
            "'of nowhere' reads 'nowhere', which nothing makes",
        ),
        ([relu("x", "w")], "an output reads 'y', which nothing makes"),
        ([branches([relu("q", "z")])], "'of q' reads 'q', which nothing makes"),
        ([branches([relu("x", "z")])], None),
        # In another order than they run: NVIDIA's parser sorts them.
        ([relu("w", "y"), relu("x", "w")], None),
    ],
)
def test_names_that_nothing_makes_or_two_nodes_make_are_refused(
    nodes, said, tmp_path
):
    case = model(
        nodes,
        {"x": (FLOAT, [2]), "c": (TensorProto.BOOL, [])},
        {"y": (FLOAT, [2])},
    )
    path = save(case, tmp_path / "names.onnx")
    if said is None:
        assert examine(path, real=False).graphs == ("names.onnx",)
        return
    with pytest.raises(InputError, match=said):
        examine(path, real=False)


def test_names_that_a_terminal_would_obey_are_escaped(tmp_path):
    case = onnx.ModelProto()
    case.CopyFrom(CASES["arg_max 1"])
    case.graph.node[0].name = "\x1b[31mred\n" + "x" * 500
    (finding,) = examine(
        save(case, tmp_path / "names.onnx"), ["8.6"], real=False
    ).findings
    line = finding.line()
    assert line.isprintable() and "\\x1b[31mred" in line and len(line) < 400
