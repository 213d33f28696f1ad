"""Tiles through fit, export, verify and predict; the graph has no loop and no data-dependent shape."""

from collections import Counter

import numpy as np
import onnx
import pytest

from anomedge.bundle import Bundle
from anomedge.errors import SchemaError
from anomedge.export.bundling import ExportOptions, export
from anomedge.export.precision.half import halved
from anomedge.export.tracing import graph_from_model
from anomedge.inspector import Inspector
from anomedge.lint.vendors import ask
from anomedge.pipelines.fitting import fit
from anomedge.pipelines.folded_networks import folded_networks
from anomedge.pipelines.model import load, save
from anomedge.resample import Geometry, Tiling
from tests.conftest import FRAME, tiny_options
from tests.export.test_regions import run

TILED = Geometry((96, 112), tiling=Tiling((64, 64), 16))


@pytest.fixture(scope="module")
def built(pictures, tmp_path_factory):
    """Model, bundle and certificate of PatchCore on tiles."""
    path = tmp_path_factory.mktemp("tiles") / "part.safetensors"
    options = tiny_options(pictures, geometry=TILED)
    with pytest.warns(UserWarning):
        save(fit("patchcore", pictures / "train", options), path)
    certificate = export(
        path,
        path.with_suffix(".anomedge"),
        ExportOptions(frame=FRAME, runtimes=["onnxruntime"], batches=[2]),
    )
    return path, path.with_suffix(".anomedge"), certificate


def test_the_graph_is_proven(built, capsys):
    path, bundle, certificate = built
    assert certificate.passed
    manifest = Bundle.open(bundle).manifest
    assert manifest.geometry == TILED
    assert manifest.outputs[1].shape == (1, *TILED.image)
    options = ("--stages", "--batch", "1", "--runtime", "onnxruntime")
    assert run("verify", bundle, "--model", path, *options) == 0
    assert "every stage is within its share" in capsys.readouterr().out


def test_tiles_cost_five_static_nodes(built):
    graph = onnx.load(built[1] / "model.onnx", load_external_data=False).graph
    kinds = Counter(node.op_type for node in graph.node)
    assert not kinds.keys() & {
        "Loop",
        "Scan",
        "If",
        "NonZero",
        "Slice",
        "Shape",
    }
    named = [node for node in graph.node if "tiles." in "".join(node.input)]
    assert {node.op_type for node in named} <= {"Gather", "Reshape"}


def test_predict_and_inspect_show_tiles(built, pictures, tmp_path, capsys):
    path, bundle, _ = built
    folder = pictures / "test" / "good"
    assert run("predict", bundle, folder, "-o", tmp_path, "--overlays") == 0
    for shown in (path, bundle):
        capsys.readouterr()
        assert run("inspect", shown) == 0
        assert "2 x 2 tiles of 64x64" in capsys.readouterr().out
    with Inspector.open(bundle) as inspector:
        frame = np.zeros((*FRAME, 3), np.uint8)
        assert inspector.predict_batch([frame])[0].anomaly_map.shape == (
            96,
            112,
        )


def test_the_budget_counts_the_tiles(built, capsys):
    options = ("--device", "jetson-orin-nano", "--frame", "96x128")
    assert run("inspect", built[0], *options) == 0
    assert "limit:" in capsys.readouterr().out


@pytest.mark.slow
def test_half_networks_take_the_batch_of_tiles(built):
    """Networks are traced for the batch of tiles, whether it is fixed or not."""
    model = load(built[0])
    for batch in (None, 1):
        half = halved(
            model, folded_networks(model.pipeline, model.geometry, batch)
        )
        graph, _ = graph_from_model(half, FRAME, batch, 17)
        onnx.checker.check_model(graph)


def test_options_that_do_not_suit_are_refused(pictures, tmp_path, capsys):
    arguments = ["fit", "padim", pictures / "train", "-o", tmp_path / "m"]
    assert run(*arguments, "--overlap", "8") == 2
    assert "--overlap without --tile" in capsys.readouterr().err
    assert run(*arguments, "--tile", "512x512") == 2
    assert "expected tiles within it" in capsys.readouterr().err


def test_a_manifest_with_other_tiles_is_refused(built, tmp_path):
    content = (built[1] / "manifest.json").read_text()
    stated = content.replace('"overlap": 16', '"overlap": 16,\n"extra": 1')
    assert stated != content
    (tmp_path / "manifest.json").write_text(stated)
    with pytest.raises(SchemaError, match="extra"):
        Bundle.open(tmp_path)


@pytest.mark.slow
def test_tensorrt_rtx_parses_and_builds_it(built):
    pytest.importorskip("tensorrt_rtx")
    verdict = ask("rtx", built[1] / "model.onnx", "2", 300)
    assert not verdict.faults, verdict
