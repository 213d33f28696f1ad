"""Files are read without their weights, or refused in one line."""

import numpy as np
import pytest

from anomedge.bundle.protobuf import varint
from anomedge.errors import InputError
from anomedge.lint import examine, lint
from anomedge.lint.partial_reading import read_without_weights
from anomedge.lint.reading import read_graph
from tests.lint.lint_cases import CASES, FLOAT, model, node, save


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


@pytest.mark.parametrize("node", [b"\x0a\x00", b"\x0a\x78" + b"\x2a\x00" * 60])
def test_many_empty_messages_are_refused_before_they_are_parsed(folder, node):
    """A parser would take a hundred times the bytes of empty nodes, or of nodes of empty attributes."""
    graph = node * (2_400_000 // len(node))
    path = folder / "many.onnx"
    path.write_bytes(b"\x3a" + varint(len(graph)) + graph)
    with pytest.raises(InputError, match="over 1000000 fields"):
        read_without_weights(path)
