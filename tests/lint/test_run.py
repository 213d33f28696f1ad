"""Each planted fault is found, by name, on every target that refuses it, and on no other."""

import pytest

from anomedge.lint import available, examine
from tests.lint.lint_cases import CASES, save

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
