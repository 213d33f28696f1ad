"""Graphs in memory: bytes that were hashed, and files beside them."""

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest

from anomedge.errors import BundleError, InputError
from anomedge.runtimes import GraphFile, graph_file
from anomedge.runtimes.graph_file import GraphContent
from tests.runtimes.external import beside


def test_a_path_is_a_graph_file_without_a_bundle(tmp_path):
    with pytest.raises(InputError, match="expected the file of a graph"):
        GraphFile.of(tmp_path / "none.onnx")
    (tmp_path / "g.onnx").touch()
    graph = GraphFile.of(tmp_path / "g.onnx")
    assert graph.bundle is None
    assert GraphFile.of(graph) is graph


def test_files_beside_the_graph_are_read_and_hashed_once(tmp_path):
    path = beside(tmp_path, {"w": np.arange(6.0, dtype=np.float32)})
    loaded = GraphFile(path).load()
    digests = {
        name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        for name in ("model.onnx", "weights.bin")
    }
    assert loaded.digests == digests
    before = loaded.in_one_piece()
    (tmp_path / "weights.bin").write_bytes(b"")
    assert loaded.in_one_piece() == before


@pytest.mark.parametrize("name", ["../weights.bin", "/etc/passwd", "gone", ""])
def test_files_elsewhere_are_not_read(name, tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "weights.bin").write_bytes(bytes(24))
    values = {"w": np.arange(6.0, dtype=np.float32)}
    path = beside(tmp_path / "deep", values, location=name)
    with pytest.raises(ValueError, match="expected a file in the folder of"):
        GraphFile(path).load()


def test_a_copy_is_complete_private_and_temporary(tmp_path):
    values = {"w": np.arange(6.0, dtype=np.float32)}
    loaded = GraphFile(beside(tmp_path, values)).load()
    with loaded.temporary_copy() as path:
        folder = path.parent
        assert folder != tmp_path
        assert folder.stat().st_mode & 0o077 == 0
        for name, content in loaded.files.items():
            assert (folder / name).read_bytes() == content
        (tensor,) = onnx.load(path).graph.initializer
    assert np.array_equal(onnx.numpy_helper.to_array(tensor), values["w"])
    assert not folder.exists()


def test_a_graph_past_the_limit_is_not_given_in_one_piece(
    tmp_path, monkeypatch
):
    values = {"w": np.zeros(1000, np.float32)}
    loaded = GraphFile(beside(tmp_path, values)).load()
    assert loaded.fits_in_one_piece
    monkeypatch.setattr(graph_file, "_LARGEST", 3999)
    assert not loaded.fits_in_one_piece
    with pytest.raises(ValueError, match="which no vendor takes in one piece"):
        loaded.in_one_piece()


def test_a_reference_that_stays_in_a_bundle_s_graph_is_refused():
    """An entry in a message that is unknown here."""
    content = b"\x0a\x08location\x12\x01x"
    for bundled in (False, True):
        graph = GraphContent(Path("g.onnx"), content, {}, [], bundled)
        if not bundled:
            assert graph.in_one_piece() == content
            continue
        with pytest.raises(BundleError, match="whose hash is not checked"):
            graph.in_one_piece()


def test_a_bundle_has_the_files_of_its_manifest(bundle):
    graph = GraphFile.in_bundle(bundle, "stages.onnx")
    assert graph.has("model.onnx")
    assert not graph.has("nothing.onnx")
    ir = GraphFile.in_bundle(bundle, "openvino/model.xml")
    assert ir.has("model.bin")
    assert not ir.has("model.onnx")


def test_a_bundle_s_stages_depend_on_the_weights_that_they_read(bundle):
    known = {
        name: record.sha256 for name, record in bundle.manifest.files.items()
    }
    for name, files in {
        "stages.onnx": ["stages.onnx", "model.onnx"],
        "model.onnx": ["model.onnx"],
    }.items():
        assert GraphFile.in_bundle(bundle, name).load().digests == {
            file: known[file] for file in files
        }
