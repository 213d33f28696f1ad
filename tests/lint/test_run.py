"""Each planted fault is found, by name, on every target that refuses it, and on no other."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from anomedge import lint as lint_package
from anomedge.errors import InputError
from anomedge.lint import available, examine, lint, load
from anomedge.lint.partial_reading import read_without_weights
from anomedge.lint.reading import read_graph
from tests.lint.lint_cases import (
    CASES,
    FLOAT,
    model,
    node,
    save,
    single,
    volume,
)

TRT8 = {"tensorrt-8.5", "tensorrt-8.6"}
TRT10 = {"tensorrt-10.3", "tensorrt-10.13", "tensorrt-10.16", "tensorrt-11.4"}
TRT = TRT8 | TRT10
RTX = {"rtx"}
OPENVINO = {"openvino-cpu", "openvino-gpu", "openvino-npu"}
NPU = {"openvino-npu"}
EARLY = TRT8 | {"tensorrt-10.3"}
# Rule, who stops at it, who only warns. What is not here nobody says anything about, but the NPU of open batches.
EXPECTED = {
    "resize plain": [("opset", TRT8, set())],
    "resize antialias": [
        ("opset", TRT8, set()),
        ("resize-antialias", TRT10 | RTX, TRT8 | OPENVINO),
    ],
    "resize cubic": [("opset", TRT8, set()), ("resize-mode", TRT8, TRT10)],
    "resize crop": [
        ("opset", TRT8, set()),
        ("resize-policy", TRT10 | RTX, OPENVINO),
    ],
    "top_k 4000": [
        ("topk-limit", TRT | RTX, set()),
        ("topk-1024", set(), TRT8),
    ],
    "top_k 3840": [("topk-limit", TRT10, set()), ("topk-1024", set(), TRT8)],
    "top_k 3839": [("topk-1024", set(), TRT8)],
    "top_k unsorted": [("topk-sorted", TRT10, set())],
    "top_k given": [
        (
            "topk-initialiser",
            {"tensorrt-8.5"} | NPU,
            {"tensorrt-8.6"} | TRT10 | RTX | OPENVINO - NPU,
        ),
    ],
    "quantize 3": [("zero-point", TRT | RTX, set())],
    "dequantize 3": [("zero-point", TRT | RTX, set())],
    "quantize uint8 128": [
        ("zero-point", TRT | RTX, set()),
        ("uint8-inside", EARLY, set()),
    ],
    "quantize uint8 0": [("uint8-inside", EARLY, set())],
    "loop": [("control-flow", set(), TRT | RTX | OPENVINO)],
    "branch": [("control-flow", set(), TRT | RTX | OPENVINO)],
    "non_zero": [
        ("data-dependent", NPU, TRT | OPENVINO - NPU),
        ("operator", RTX, set()),
    ],
    "nms": [
        ("data-dependent", NPU, TRT | OPENVINO - NPU),
        ("operator", RTX, set()),
    ],
    "arg_max 1": [("argmax-rank", TRT | RTX, set())],
    "arg_min 1": [("argmax-rank", TRT | RTX, set())],
    "gather uint8": [("uint8-inside", TRT | RTX, set())],
    "volume": [("volume", TRT, RTX), ("tensor-bytes", set(), {"openvino-gpu"})],
    "layer normalization": [("operator", {"tensorrt-8.5"}, set())],
    "layer normalization 3": [
        ("operator", {"tensorrt-8.5"}, set()),
        ("normalization-outputs", TRT10 | RTX, set()),
    ],
    "opset 20": [("opset", TRT8, set())],
    "opset 23": [
        ("opset", EARLY, set()),
        ("opset-documented", set(), {"tensorrt-10.13"}),
    ],
    "opset 25": [
        ("opset", TRT, OPENVINO),
        ("opset-documented", set(), {"tensorrt-10.13"}),
    ],
    "double": [("double", set(), TRT | RTX | OPENVINO - NPU)],
    "sqrt double": [("double", set(), TRT | RTX | OPENVINO - NPU)],
    "wide integers": [("int64-range", set(), TRT8)],
    "microsoft": [("domain", TRT | RTX, set())],
    "inverse": [("domain", TRT | RTX | OPENVINO, set())],
    "qlinear_conv": [
        ("operator", TRT | RTX, set()),
        ("uint8-inside", TRT | RTX, set()),
    ],
    "dynamic quantize": [("operator", TRT | RTX, set())],
    "reduce axes given": [("reduce-axes", TRT10 | RTX, set())],
    "reduce axes computed": [("reduce-axes", TRT10 | RTX, set())],
    "max_pool indices": [("maxpool-indices", TRT | RTX, set())],
    "scatter add": [("scatter-reduction", TRT10 | RTX, set())],
    "einsum ellipsis": [("einsum", EARLY, set())],
    "einsum diagonal": [("einsum", EARLY, set())],
    "det": [("operator", TRT | RTX | OPENVINO, set())],
    "clip int64": [("type", TRT, set())],
    "add uint8": [("uint8-inside", TRT | RTX, set())],
    "relu int32": [("type", TRT8 | RTX, set())],
    "matmul int32": [("type", TRT | RTX, set())],
    "add int16": [("type", TRT | RTX, set())],
    "softmax bf16": [("type", TRT8, set())],
    "local function": [("function", TRT8 | OPENVINO, set())],
}
OF_THE_GRAPH = {"opset", "opset-documented", "double", "function"}
# What has the same zero point is meant as well.
NEIGHBOURS = {"quantize", "dequantize"}
OPEN = {"static", "fp16"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cases")


@pytest.mark.parametrize("name", CASES)
def test_planted_faults_are_named_where_they_stop_and_nowhere_else(
    name, folder
):
    path = save(CASES[name], folder / f"{name}.onnx")
    findings = [
        f for f in examine(path, real=False).findings if f.rule not in OPEN
    ]
    found = {(f.rule, f.severity): set() for f in findings}
    for finding in findings:
        found[finding.rule, finding.severity].add(finding.target)
        if finding.rule in OF_THE_GRAPH:
            assert (finding.node, finding.place) == ("", path.name)
        else:
            assert finding.node in {"planted", *NEIGHBOURS}
            assert f"({finding.op} -> " in finding.place
        assert finding.source and finding.rewrite and finding.message
    if name not in NEIGHBOURS and any(f.node for f in findings):
        assert any(f.node == "planted" for f in findings)
    expected = {}
    for rule, errors, warnings in EXPECTED.get(name, []):
        expected |= {
            (rule, kind): who
            for kind, who in (("error", errors), ("warning", warnings))
            if who
        }
    assert found == expected


def test_every_expectation_has_its_case_and_every_target_its_place():
    assert EXPECTED.keys() <= CASES.keys()
    assert set(available()) == TRT | RTX | OPENVINO


def test_a_line_reads_as_it_should(folder):
    (finding,) = lint(save(CASES["arg_max 1"], folder / "line.onnx"), ["10.3"])
    assert finding.line().startswith(
        'error    planted (ArgMax -> "y"): rank 1; TensorRT wants 2 or more ('
    )
    assert finding.line().endswith("-> Unsqueeze before, Squeeze behind")


def test_open_dimensions_stop_the_npu_alone(folder):
    path = save(single("Relu"), folder / "open.onnx")
    findings = [
        f for f in examine(path, real=False).findings if f.rule == "static"
    ]
    assert [(f.target, f.severity) for f in findings] == [
        ("openvino-npu", "error")
    ]
    assert '"x"' in findings[0].message and "--batch 1" in findings[0].rewrite
    fixed = save(single("Relu", (1, 3, 8, 8)), folder / "fixed.onnx")
    assert not [
        f
        for f in examine(fixed, ["openvino-npu"], real=False).findings
        if f.severity == "error"
    ]
    wide = save(single("Relu", ("B", 3, "H", 8)), folder / "wide.onnx")
    found = {
        (f.target, f.severity)
        for f in examine(wide, real=False).findings
        if f.rule == "static"
    }
    assert found == {("openvino-npu", "error"), ("openvino-gpu", "warning")}


@pytest.mark.parametrize("batch, refused", [(1, False), (8, True)])
def test_volumes_are_counted_at_the_largest_batch(batch, refused, folder):
    path = save(volume(20_000), folder / "volume.onnx")
    findings = [
        f
        for f in examine(path, ["8.6"], batch=batch, real=False).findings
        if f.rule == "volume"
    ]
    assert bool(findings) is refused
    if refused:
        assert findings[0].node == "planted"
        assert (
            "8 x 20000 x 20000" in findings[0].message
            and "batch 8" in findings[0].message
        )


def test_a_fixed_batch_is_what_volumes_are_counted_at(folder):
    path = save(volume(20_000, batch=2), folder / "fixed volume.onnx")
    assert not [
        f
        for f in examine(path, ["8.6"], batch=64, real=False).findings
        if f.rule == "volume"
    ]


def test_nodes_within_loops_are_checked_too(folder):
    case = onnx.ModelProto()
    case.CopyFrom(CASES["loop"])
    body = case.graph.node[0].attribute[0].g
    body.node[1].op_type, body.node[1].input[:] = "Det", ["v"]
    found = [
        f
        for f in examine(
            save(case, folder / "inner.onnx"), ["10.3"], real=False
        ).findings
        if f.rule == "operator"
    ]
    assert [(f.node, f.op) for f in found] == [("planted.body/double", "Det")]


def test_constants_of_constant_nodes_count_as_initialisers(folder):
    nodes = [
        helper.make_node(
            "Constant",
            [],
            ["raw"],
            value=numpy_helper.from_array(np.array([4000])),
        ),
        helper.make_node("Identity", ["raw"], ["k"]),
        node("TopK", ["x", "k"], ["y", "i"]),
    ]
    outputs = {
        "y": (FLOAT, [None, None]),
        "i": (onnx.TensorProto.INT64, [None, None]),
    }
    path = save(
        model(nodes, {"x": (FLOAT, ["B", 5000])}, outputs),
        folder / "constant.onnx",
    )
    found = {
        (f.rule, f.message.split(";")[0])
        for f in examine(path, ["8.5"], real=False).findings
    }
    assert found == {("topk-limit", "got 4000"), ("topk-1024", "got 4000")}


def test_what_could_not_be_counted_is_said(folder):
    assert (
        examine(
            save(CASES["relu"], folder / "known.onnx"), ["8.6"], real=False
        ).notes
        == ()
    )
    (note,) = examine(
        save(CASES["non_zero"], folder / "unknown.onnx"), ["8.6"], real=False
    ).notes
    assert "unknown.onnx: the shapes of 1 of 2 values are not known" in note


def test_weights_are_not_read(folder):
    weights = np.zeros((300, 1000), np.float32)
    case = model(
        [node("MatMul", ["x", "w"], ["y"])],
        {"x": (FLOAT, ["B", 300])},
        {"y": (FLOAT, None)},
        {"w": weights},
    )
    path = save(case, folder / "weights.onnx")
    left = read_without_weights(path)
    assert left.ByteSize() < 500 < path.stat().st_size
    assert [
        (t.name, list(t.dims), t.data_type) for t in left.graph.initializer
    ] == [("w", [300, 1000], FLOAT)]
    graph = read_graph(path, 4)
    assert graph.nodes[0].scope.value("y").shape == (4, 1000)


def test_files_that_are_no_graphs_are_refused_in_one_line(folder):
    good = CASES["relu"].SerializeToString()
    spoilt = [
        b"",
        b"\x00",
        b"\xff" * 64,
        good[:-3],
        b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x08\x08",
        b"plain text",
    ]
    spoilt.append(b"\x3a\x7f" * 40)  # messages within messages that end nowhere
    for number, content in enumerate(spoilt):
        path = folder / f"spoilt {number}.onnx"
        path.write_bytes(content)
        with pytest.raises(InputError, match="ONNX graph"):
            lint(path, ["10.3"])
    for path in (folder / "missing.onnx", folder / "spoilt.xml"):
        with pytest.raises(InputError, match="got"):
            lint(path, ["10.3"])


def test_every_flipped_byte_is_linted_or_refused(folder):
    good = CASES["top_k 9"].SerializeToString()
    path = folder / "flipped.onnx"
    for place in range(len(good)):
        content = bytearray(good)
        content[place] ^= 0x55
        path.write_bytes(content)
        try:
            examine(path, ["10.3", "openvino-npu"], real=False)
        except InputError:
            continue


@pytest.mark.parametrize("name", ["tensorrt-9.9", "cuda", "../rtx", ""])
def test_a_target_that_there_is_not(name, folder):
    with pytest.raises(InputError, match="expected one of: openvino-cpu"):
        lint(save(CASES["relu"], folder / "relu.onnx"), [name])


def test_short_and_long_names_are_one_target():
    assert load("10.13") == load("tensorrt-10.13")


def test_a_target_of_ones_own(folder):
    own = {
        "like": "tensorrt-10.3",
        "title": "Ours",
        "operators": {"Relu": ""},
        "checks": {"opset": None},
    }
    path = folder / "ours.json"
    path.write_text(json.dumps(own))
    found = lint(save(CASES["opset 25"], folder / "own.onnx"), [str(path)])
    assert [(f.target, f.rule, f.op) for f in found] == [
        ("ours", "operator", "Relu")
    ]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"like": "nothing"}',
        '{"like": "rtx", "checks": {"x": {"kind": "none"}}}',
        "[" * 5000,
    ],
)
def test_files_that_are_no_targets(content, folder):
    path = folder / "wrong.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"wrong\.json"):
        load(str(path))


@pytest.mark.parametrize("name", available())
def test_targets_say_where_everything_is_written(name):
    target = load(name)
    assert target.name == name and target.title and target.source
    for check in target.checks.values():
        assert len(check.source) > 10 and len(check.why) > 10 and check.rewrite
    supported = {op for op, types in target.operators.items() if types}
    assert {
        "Conv",
        "MatMul",
        "Gemm",
        "Gather",
        "ArgMin",
        "ReduceMin",
        "Cast",
        "Relu",
    } <= supported
    schemas = {
        schema.name
        for schema in onnx.defs.get_all_schemas_with_history()
        if schema.domain in {"", "ai.onnx.preview"}
    }
    strangers = {op for op in supported if op not in schemas}
    # What the makers' tables list beside ONNX's own: operators of its first versions, and their fusions.
    assert strangers <= {
        "ATen", "Affine", "ConstantFill", "Crop", "ImageScaler", "IsFinite", "ParametricSoftplus", "ScaledTanh",
        "SimplifiedLayerNormalization",
    }  # fmt: skip


def test_the_targets_are_in_the_package_data():
    import tomllib

    root = Path(lint_package.__file__).parents[2]
    patterns = tomllib.loads((root / "pyproject.toml").read_text())["tool"][
        "setuptools"
    ]["package-data"]["anomedge"]
    covered = {
        file
        for pattern in patterns
        for file in (root / "anomedge").glob(pattern)
    }
    assert (
        set((Path(lint_package.__file__).parent / "targets").glob("*.json"))
        <= covered
    )


@pytest.mark.parametrize("target", available())
def test_our_own_graphs_are_clean(target, bundle_paths, detector):
    findings = examine(bundle_paths[detector], [target], real=False).findings
    # The tiny bundle's batch is open, which is what its contract says and what the NPU refuses.
    expected = (
        {("error", "static"), ("warning", "fp16")}
        if target == "openvino-npu"
        else set()
    )
    assert {(f.severity, f.rule) for f in findings} == expected
    assert {f.graph for f in findings} == (
        {"model.onnx", "stages.onnx", "segments.onnx"} if expected else set()
    )
