"""Rules about whole graphs: file size, open dimensions, volumes."""

import os

import pytest
from onnx import TensorProto

from anomedge.bundle.protobuf import varint
from anomedge.lint import available, examine
from tests.lint.lint_cases import FLOAT, model, node, save, single, volume

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
