"""Graphs in files: weights inside, beside, or in the file of another graph."""

import numpy as np
import onnx
import pytest

from anomedge import runtimes
from anomedge.errors import ExportError
from anomedge.export.graphs import set_outputs
from anomedge.export.tracing import graph_from_model, keep_shipped_outputs
from anomedge.export.writing import write_ir, write_onnx, write_tapped
from tests.conftest import FRAME
from tests.export.passes.graphs import product_graph, random, run


@pytest.mark.slow
def test_external_data(models, tmp_path, runtime):
    """Past the limit, weights lie beside the graph, and the tapped twin reads the same file."""
    graph, names = graph_from_model(models["padim"], FRAME, None, 17)
    shipped = tmp_path / "model.onnx"
    taps = keep_shipped_outputs(graph)
    holder = write_onnx(graph, shipped, limit=1 << 20)
    set_outputs(graph, taps)
    write_tapped(graph, shipped, holder, tmp_path / "stages.onnx")
    assert holder.name == "model.onnx.data"
    assert (
        shipped.stat().st_size + (tmp_path / "stages.onnx").stat().st_size
        < 200_000
        < holder.stat().st_size
    )
    frames = np.random.default_rng(0).integers(
        0, 256, (2, *FRAME, 3), dtype=np.uint8
    )
    with (
        runtimes.open(shipped, runtime=runtime) as one,
        runtimes.open(tmp_path / "stages.onnx", runtime=runtime) as two,
    ):
        tapped = two.run({"frames": frames})
        assert list(tapped) == names
        np.testing.assert_allclose(
            one.run({"frames": frames})["score"], tapped["score"], rtol=1e-5
        )


def test_small_graphs_hold_their_weights(tmp_path):
    path = tmp_path / "model.onnx"
    assert write_onnx(product_graph(random(4, 16, 16)), path) == path
    assert [each.name for each in tmp_path.iterdir()] == ["model.onnx"]


def test_weights_beside_the_graph_are_the_same_values(tmp_path):
    weights, x = random(4, 16, 16), random(4, 2, 16)
    whole = run(product_graph(weights), x)
    path = tmp_path / "model.onnx"
    holder = write_onnx(product_graph(weights), path, limit=0)
    assert holder == tmp_path / "model.onnx.data"
    assert path.stat().st_size < 1024 < holder.stat().st_size
    again = onnx.load(path)
    np.testing.assert_array_equal(run(again, x), whole)


@pytest.mark.parametrize("limit", [0, 1 << 30], ids=["beside", "inside"])
def test_another_graph_reads_the_weights_of_the_shipped_one(tmp_path, limit):
    weights, x = random(4, 16, 16), random(4, 2, 16)
    shipped, other = tmp_path / "model.onnx", tmp_path / "stages.onnx"
    holder = write_onnx(product_graph(weights), shipped, limit=limit)
    twin = product_graph(weights)
    write_tapped(twin, shipped, holder, other)
    assert other.stat().st_size < 1024
    assert not twin.graph.initializer[0].raw_data
    loaded = onnx.load(other)
    np.testing.assert_array_equal(
        run(loaded, x), run(product_graph(weights), x)
    )


def test_a_graph_that_is_not_valid_is_refused_by_its_file(tmp_path):
    broken = product_graph(random(1, 2, 2))
    broken.graph.node[0].input[0] = "missing"
    with pytest.raises(ExportError, match=r"model\.onnx is no valid graph"):
        write_onnx(broken, tmp_path / "model.onnx")


def test_an_ir_has_the_names_of_the_graph_and_the_given_metadata(tmp_path):
    openvino = pytest.importorskip("openvino")
    path = tmp_path / "model.onnx"
    write_onnx(product_graph(random(4, 16, 16)), path)
    target = tmp_path / "openvino" / "model.xml"
    write_ir(path, target)
    graph = openvino.Core().read_model(target)
    assert graph.get_friendly_name() == "anomedge"
    assert [each.any_name for each in graph.inputs] == ["x"]
    assert [each.any_name for each in graph.outputs] == ["y"]
    first = target.read_bytes()
    write_ir(path, target)
    assert target.read_bytes() == first
