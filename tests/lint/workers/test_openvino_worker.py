"""The tables of OpenVINO against its CPU plugin."""

import numpy as np
import pytest

from anomedge.lint import examine
from tests.lint.lint_cases import CASES, FLOAT, model, node, resize
from tests.lint.workers.running import all_at_once


@pytest.fixture(scope="module")
def openvino(case_folder):
    return all_at_once("openvino", "compile", case_folder)


@pytest.mark.parametrize("name", CASES)
def test_the_table_of_openvino_says_what_its_cpu_plugin_does(
    name, openvino, case_folder
):
    said, path = openvino[name], case_folder / f"{name}.onnx"
    tabulated = examine(path, ["openvino-cpu"], real=False)
    assert bool(said["faults"]) is bool(tabulated.errors), said["faults"]
    if not said["faults"]:
        assert said["steps"] == ["read", "compiled"]


def computed(case, x) -> tuple[np.ndarray, np.ndarray]:
    """By ONNX Runtime, which keeps to ONNX here, and by OpenVINO."""
    import onnxruntime
    from openvino import Type, properties

    from anomedge.runtimes.ov import _core

    session = onnxruntime.InferenceSession(
        case.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    hints = {properties.hint.inference_precision: Type.f32}
    compiled = _core().compile_model(
        _core().read_model(case.SerializeToString()), "CPU", hints
    )
    return session.run(None, {"x": x})[0], compiled(x)[0]


def test_openvino_ignores_antialias_and_policy_as_the_table_says():
    x = np.random.default_rng(0).random((1, 3, 8, 8), dtype=np.float32)
    right, got = computed(resize(mode="linear", scale=0.25), x)
    assert np.abs(right - got).max() < 1e-6
    right, got = computed(resize(mode="linear", scale=0.25, antialias=1), x)
    assert np.abs(right - got).max() > 0.1
    planted = node(
        "Resize",
        ["x", "", "", "z"],
        ["y"],
        mode="linear",
        keep_aspect_ratio_policy="not_larger",
        axes=[2, 3],
    )
    inputs = {"x": (FLOAT, ["B", 3, 8, 8])}
    right, got = computed(
        model(
            [planted],
            inputs,
            {"y": (FLOAT, [None] * 4)},
            {"z": np.array([4, 6])},
            18,
        ),
        x,
    )
    assert (right.shape, got.shape) == ((1, 3, 4, 4), (1, 3, 4, 6))
