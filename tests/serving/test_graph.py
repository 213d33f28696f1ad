"""The graph of a server: chosen by layout, described by its own file, copied with its weights."""

import numpy as np
import onnxruntime
import pytest

from anomedge.errors import BundleError, InputError
from anomedge.serving import served_graph


def test_the_first_wanted_layout_that_the_bundle_has_is_taken(laid_out):
    wanted = ["nchw-rgb-1", "nchw-bgr-255"]
    graph = served_graph(laid_out, None, wanted, "fp32", 4)
    assert graph.layout.name == "nchw-bgr-255"
    assert (graph.input.name, graph.shape(4)) == ("images", (4, 3, 96, 128))
    assert graph.is_dynamic
    assert [each.name for each in graph.outputs] == ["score", "anomaly_map"]
    assert graph.title == "part-1-nchw-bgr-255"


def test_without_a_wish_the_bundles_own_graph_is_taken(frames):
    assert (frames.layout.name, frames.onnx_file()) == ("frames", "model.onnx")


@pytest.mark.parametrize(
    ("layout", "wanted", "said"),
    [
        (None, ["nchw-rgb-1"], "expected nchw-rgb-1: export with --layout"),
        ("grey", [], "and --layout grey"),
        ("frames", ["nchw-bgr-255"], "and --layout frames"),
    ],
)
def test_a_layout_that_is_not_there_is_refused(laid_out, layout, wanted, said):
    with pytest.raises(InputError, match=said):
        served_graph(laid_out, layout, wanted, "fp32", 4)


def test_a_precision_that_is_not_there_is_refused(laid_out):
    with pytest.raises(BundleError, match="got precision 'fp16'"):
        served_graph(laid_out, None, [], "fp16", 4)


def test_copies_run_alone(planes, tmp_path):
    planes.copy_onnx(tmp_path / "copy")
    session = onnxruntime.InferenceSession(
        tmp_path / "copy" / planes.onnx_file()
    )
    fed = np.zeros(planes.shape(2), np.float32)
    assert session.run(["score"], {"images": fed})[0].shape == (2,)


def test_both_files_of_an_ir_are_copied(planes, tmp_path):
    planes.copy_ir(tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["nchw-bgr-255.bin", "nchw-bgr-255.xml"]
    assert planes.ir_file() == "nchw-bgr-255.xml"
