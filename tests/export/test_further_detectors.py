"""Detectors besides PaDiM and PatchCore the whole way: fit, proof in each precision, lint, INT8 and NVIDIA's builder."""

import importlib.util
import subprocess
import sys
import warnings

import numpy as np
import pytest
from onnx import numpy_helper

from anomedge.bundle import Bundle
from anomedge.export.bundling import ExportOptions, export
from anomedge.export.options import Int8Options
from anomedge.export.tracing import graph_from_model
from anomedge.pipelines.fitting import FitOptions, fit
from anomedge.pipelines.model import load, save
from anomedge.resample import Geometry
from tests.commands.running import run
from tests.conftest import FRAME, RUNTIMES
from tests.pipelines.descriptions import teacher_file
from tests.sampling import part_of_grid

SIZE, TAIL = (64, 96), (208, 256)
BANK = {"backbone": "test_vit3", "coreset": 0.5}
SHORT = {"epochs": 2, "train_batch": 4, "device": "cpu"}
# Flows of fewer or smaller steps are near the identity, whose scales float16 rounds alike.
FLOW = SHORT | {"learning_rate": 0.01}
CASES = {
    # The score is that of 1 patch of 20, and of 2 of 208.
    "anomaly_dino": ("anomaly_dino", (64, 80), BANK),
    "anomaly_dino-tail": ("anomaly_dino", TAIL, BANK),
    "dfm-fre": ("dfm", SIZE, {"pooling": 2}),
    "dfm-nll": ("dfm", SIZE, {"pooling": 2, "score_type": "nll"}),
    "dfkde-scale": ("dfkde", SIZE, {"components": 2}),
    "dfkde-norm": ("dfkde", SIZE, {"components": 2, "scaling": "norm"}),
    "reverse_distillation": ("reverse_distillation", SIZE, SHORT),
    "reverse_distillation-multiply": (
        "reverse_distillation",
        SIZE,
        SHORT | {"anomaly_map_mode": "multiply"},
    ),
    "fastflow": ("fastflow", SIZE, FLOW | {"layers": "blocks.1,blocks.2"}),
    "fastflow-vit": ("fastflow", (64, 80), FLOW | {"backbone": "test_vit3"}),
    "stfpm": ("stfpm", SIZE, SHORT | {"layers": "blocks.1,blocks.2"}),
    "efficient_ad": ("efficient_ad", SIZE, SHORT),
}
REFUSED = {"Loop", "If", "NonZero", "ScatterND", "Einsum", "Resize"}


@pytest.fixture(autouse=True)
def no_advice():
    """Few pictures and random weights give advice, which is no subject here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


@pytest.fixture(scope="module")
def model_path(request, pictures, tmp_path_factory):
    return fitted(request.param, pictures, tmp_path_factory.mktemp("model"))


def fitted(case, pictures, folder):
    """The file of the fitted detector of a case."""
    detector, size, own = CASES[case]
    usual = {"backbone": "test_efficientnet", "weights": "random"}
    if detector == "efficient_ad":
        usual = {"teacher": teacher_file(folder)}
    options = FitOptions(
        Geometry(size),
        held_back=pictures / "held_back",
        detector=usual | own,
    )
    path = folder / "part.safetensors"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        save(fit(detector, pictures / "train", options), path)
    return path


def of_cases(*names):
    """Run the test on the named cases, or on the day's third of all."""
    chosen = names or part_of_grid(CASES, 3)
    return pytest.mark.parametrize("model_path", chosen, indirect=True)


@pytest.mark.slow
@of_cases()
def test_the_graph_is_static(model_path):
    model = load(model_path)
    graph, _ = graph_from_model(model, FRAME, None, 17)
    operators = {node.op_type for node in graph.graph.node}
    assert not REFUSED & operators
    has_tail = model.pipeline.config.size == TAIL
    assert ("TopK" in operators) is has_tail


@pytest.mark.slow
@of_cases("dfm-fre", "dfm-nll", "dfkde-scale", "dfkde-norm")
def test_no_matrix_is_stored_twice(model_path):
    graph, _ = graph_from_model(load(model_path), FRAME, None, 17)
    matrices = [
        np.sort(numpy_helper.to_array(tensor), axis=None).tobytes()
        for tensor in graph.graph.initializer
        if len(tensor.dims) == 2
    ]
    assert len(set(matrices)) == len(matrices) > 0


@pytest.mark.slow
@of_cases()
def test_it_is_proven_linted_and_built(model_path, pictures, tmp_path):
    path = tmp_path / "part.anomedge"
    options = ExportOptions(
        frame=FRAME,
        golden=[pictures / "test"],
        precisions=["fp32", "fp16"],
        runtimes=RUNTIMES,
    )
    certificate = export(model_path, path, options)
    assert certificate.passed
    cells = {(c.runtime, c.precision, c.batch) for c in certificate.cells}
    assert len(cells) == len(RUNTIMES) * 2 * len((1, 2, 3, 8))
    has_map = load(model_path).decision.has_map
    assert Bundle.open(path).manifest.has_map is has_map
    assert run("lint", path) == 0
    if importlib.util.find_spec("tensorrt_rtx") is None:
        return
    for more in ([], ["--stages"], ["--precision", "fp16"]):
        # A vendor's crash must not take the tests along.
        command = [sys.executable, "-m", "anomedge", "build", path]
        own = ["--runtime", "rtx", "--batch", "1", "2", "8"]
        done = subprocess.run(
            [*command, *own, "--cache", tmp_path / "engines", *more],
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@of_cases("anomaly_dino", "anomaly_dino-tail")
def test_an_int8_search_is_proven(model_path, pictures, tmp_path):
    options = ExportOptions(
        frame=FRAME,
        golden=[pictures / "test"],
        search="int8",
        runtimes=RUNTIMES,
    )
    path = tmp_path / "part.anomedge"
    assert export(model_path, path, options).passed
    assert run("lint", path) == 0


@pytest.mark.slow
@of_cases()
def test_int8_is_proven(model_path, pictures, tmp_path):
    options = ExportOptions(
        frame=FRAME,
        golden=[pictures / "test"],
        precisions=["int8"],
        int8=Int8Options(calibrate=[pictures / "train"]),
        runtimes=RUNTIMES,
    )
    path = tmp_path / "part.anomedge"
    assert export(model_path, path, options).passed
