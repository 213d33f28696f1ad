"""A bundle in several precisions: each its own files, each proven to its own tolerance."""

import importlib.util
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from anomedge import Inspector
from anomedge.bundle import Bundle
from anomedge.errors import ExportError
from anomedge.export.bundling import ExportOptions, export
from anomedge.export.precision.storage import store_halved
from anomedge.images import read_folder
from anomedge.parity.certificate import TOLERANCES
from tests.commands.running import run as commands
from tests.conftest import FRAME
from tests.export.passes.graphs import product_graph, random, run

STORED = {"fp32", "fp16-storage", "int8-storage"}


@pytest.fixture(scope="module")
def bundles(model_paths, pictures, tmp_path_factory):
    """PaDiM in float32 and with smaller storage, and what was proven of it."""
    path = tmp_path_factory.mktemp("both") / "padim.anomedge"
    options = ExportOptions(
        frame=FRAME,
        golden=[pictures / "test"],
        precisions=sorted(STORED),
    )
    return (
        Bundle.open(path)
        if path.exists()
        else (export(model_paths["padim"], path, options), Bundle.open(path))
    )


def test_each_precision_is_proven_under_each_runtime(bundles, runtime):
    certificate, bundle = bundles
    assert certificate.passed
    for records in (certificate.cells, certificate.checks):
        own = [each for each in records if each.runtime == runtime]
        assert {each.precision for each in own} == STORED
    assert certificate.tolerances.keys() == STORED
    assert bundle.manifest.variants.keys() == STORED


@pytest.mark.parametrize(
    ("precision", "share"), [("fp16-storage", 0.6), ("int8-storage", 0.45)]
)
def test_smaller_storage_is_close(bundles, pictures, runtime, precision, share):
    _, bundle = bundles
    sizes = {
        name: bundle.file(variant.graph()).stat().st_size
        for name, variant in bundle.manifest.variants.items()
    }
    assert sizes[precision] < share * sizes["fp32"]
    frames = [picture.frame() for picture in read_folder(pictures / "test")]
    scores = [
        scores_of(bundle, runtime, name, np.stack(frames))
        for name in ("fp32", precision)
    ]
    apart = np.abs(scores[0] - scores[1]).max() / bundle.decision.scale
    assert 0 < apart < TOLERANCES[precision].score


def scores_of(bundle, runtime, precision, frames):
    with Inspector.open(
        bundle, runtime=runtime, precision=precision
    ) as inspector:
        results = inspector.predict_batch(frames)
    return np.array([result.score for result in results])


def test_the_graph_computes_in_float32(bundles):
    _, bundle = bundles
    graph = onnx.load(bundle.file("model.fp16-storage.onnx")).graph
    halved = {
        tensor.name
        for tensor in graph.initializer
        if tensor.data_type == TensorProto.FLOAT16
    }
    assert halved
    assert {
        node.op_type for node in graph.node if halved & set(node.input)
    } == {"Cast"}
    assert all(name.startswith("pipeline.") for name in halved)


def test_stored_numbers_are_rounded_and_nothing_else():
    weights = random(20, 40, 40)
    proto, rounded = (
        product_graph(weights),
        product_graph(weights.astype(np.float16).astype(np.float32)),
    )
    store_halved(proto, ["w"])
    onnx.checker.check_model(proto, full_check=True)
    x = random(20, 3, 40)
    np.testing.assert_array_equal(run(proto, x), run(rounded, x))


def test_what_the_model_does_not_store_stays():
    proto = product_graph(random(20, 40, 40))
    before = proto.SerializeToString()
    store_halved(proto, ["v"])
    assert proto.SerializeToString() == before


def test_a_number_that_float16_has_not_is_refused():
    weights = random(20, 40, 40)
    weights[3, 4, 5] = 7e4
    with pytest.raises(
        ExportError, match=r"holds 7e\+04; expected at most 65504"
    ):
        store_halved(product_graph(weights), ["w"])


@pytest.mark.slow
def test_each_storage_passes_lint_and_nvidias_builder(bundles, tmp_path):
    """TensorRT takes signed bytes before DequantizeLinear alone."""
    _, bundle = bundles
    assert commands("lint", bundle.path) == 0
    if importlib.util.find_spec("tensorrt_rtx") is None:
        pytest.skip("tensorrt_rtx is not installed")
    for precision in ("fp16-storage", "int8-storage"):
        # A vendor's crash must not take the tests along.
        command = [sys.executable, "-m", "anomedge", "build", bundle.path]
        own = [
            "--runtime",
            "rtx",
            "--batch",
            "1",
            "2",
            "--precision",
            precision,
        ]
        done = subprocess.run(
            [*command, *own, "--cache", tmp_path],
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
