"""Estimated sizes of files against those of written graphs and bundles."""

from pathlib import Path

import pytest

from anomedge.budget.files import file_sizes
from anomedge.budget.tracing import network_of
from anomedge.export.writing import write_ir
from tests.budget.models import TOLERANCE, random_model, written
from tests.conftest import FRAME


@pytest.mark.slow
@pytest.mark.parametrize(
    ("detector", "backbone", "count"),
    [("padim", "resnet18", 100), ("patchcore", "wide_resnet50_2", 10_000)],
)
def test_sizes_of_real_graphs(detector, backbone, count, tmp_path):
    model = random_model(detector, backbone, 256, count)
    graph = written(model, (480, 640), tmp_path)
    write_ir(graph, tmp_path / "openvino" / "model.xml")
    estimate = file_sizes(network_of(model, (480, 640), 1), (480, 640), 1)
    ir = sum(file.stat().st_size for file in (tmp_path / "openvino").iterdir())
    assert estimate["model.onnx"] == pytest.approx(
        graph.stat().st_size, rel=0.02
    )
    assert estimate["openvino/"] == pytest.approx(ir, rel=0.02)


def size_of(path: Path) -> int:
    return sum(
        file.stat().st_size
        for file in [path, *path.rglob("*")]
        if file.is_file()
    )


def test_sizes_of_bundles(models, bundle_paths, detector):
    network, bundle = (
        network_of(models[detector], FRAME, 1),
        bundle_paths[detector],
    )
    estimate = file_sizes(network, FRAME, 1)
    for name in ("model.onnx", "stages.onnx", "openvino/", "golden/"):
        assert estimate[name] == pytest.approx(
            size_of(bundle / name), rel=TOLERANCE
        ), name
    assert sum(estimate.values()) == pytest.approx(
        size_of(bundle), rel=TOLERANCE
    )
