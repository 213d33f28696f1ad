"""The smallest graph is valid, and is relu."""

import numpy as np
import onnx

from anomedge import runtimes
from anomedge.doctor.tiny import TINY_GRAPH


def test_it_is_a_valid_graph_that_computes_relu(tmp_path):
    onnx.checker.check_model(onnx.load_from_string(TINY_GRAPH))
    path = tmp_path / "tiny.onnx"
    path.write_bytes(TINY_GRAPH)
    with runtimes.open(path, "onnxruntime") as session:
        x = np.array([[-1, 0, 1, 2]], np.float32)
        assert session.run({"x": x})["y"].tolist() == [[0, 0, 1, 2]]
