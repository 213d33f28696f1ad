"""A bundle with a layout of float planes, and its graph for a server."""

import pytest

from anomedge.bundle import Bundle
from anomedge.export.bundling import ExportOptions, export
from anomedge.serving import served_graph
from tests.conftest import FRAME


@pytest.fixture(scope="session")
def laid_out(model_paths, tmp_path_factory):
    target = tmp_path_factory.mktemp("served") / "part 1.anomedge"
    options = ExportOptions(
        frame=FRAME, layout="nchw-bgr-255", runtimes=["onnxruntime"]
    )
    assert export(model_paths["patchcore"], target, options).passed
    return Bundle.open(target)


@pytest.fixture
def planes(laid_out):
    return served_graph(laid_out, None, ["nchw-bgr-255"], "fp32", 8)


@pytest.fixture
def frames(laid_out):
    return served_graph(laid_out, None, [], "fp32", 8)
