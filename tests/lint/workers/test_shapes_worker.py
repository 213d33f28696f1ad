"""Shape inference in a process of its own."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from anomedge.lint import vendors
from tests.lint.lint_cases import FLOAT, INT64, model

WORKER = Path(vendors.__file__).parent / "workers" / "shapes_worker.py"


def run(content):
    return subprocess.run(
        [sys.executable, "-P", WORKER], input=content, capture_output=True
    )


def reshape(rows):
    """x reshaped to a shape that is computed from a constant."""
    nodes = [
        helper.make_node("Concat", ["rows", "rest"], ["shape"], axis=0),
        helper.make_node("Reshape", ["x", "shape"], ["y"]),
        helper.make_node("Relu", ["y"], ["z"]),
    ]
    constants = {"rows": np.array([rows]), "rest": np.array([-1])}
    return model(nodes, {"x": (FLOAT, [4, 6])}, {"z": (FLOAT, None)}, constants)


def test_shapes_follow_computed_values():
    done = run(reshape(8).SerializeToString())
    assert done.returncode == 0, done.stderr
    values = onnx.ModelProto.FromString(done.stdout).graph.value_info
    shapes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in values
    }
    assert shapes["y"] == [8, 3]


def test_values_beyond_the_memory_end_the_process():
    """A vector of 2^40 numbers; the limit of the process stops it."""
    nodes = [
        helper.make_node("Range", ["from", "to", "by"], ["y"]),
        helper.make_node("Cast", ["y"], ["z"], to=INT64),
    ]
    constants = {"from": 0, "to": 1 << 40, "by": 1}
    case = model(nodes, {}, {"z": (INT64, None)}, constants)
    done = run(case.SerializeToString())
    assert done.returncode != 0
    assert done.stdout == b""


def test_bytes_that_are_no_model_end_the_process():
    done = run(b"\xff" * 64)
    assert done.returncode != 0
    assert done.stdout == b""
