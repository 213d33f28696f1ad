"""Exported graphs: their constants, inside and beside the file."""

import numpy as np
import onnx
import pytest

from anomedge.errors import ModelError
from anomedge.interop.anomalib import import_native
from tests.interop.anomalib import graphs


def test_external_values_lie_beside_the_graph(tmp_path):
    path = graphs.write("patchcore", tmp_path / "model.onnx", True)
    model = onnx.load(path)
    onnx.save(
        model, path, save_as_external_data=True, location="model.onnx.data"
    )
    assert import_native(path).pipeline.name == "patchcore"
    (tmp_path / "model.onnx.data").write_bytes(b"short")
    with pytest.raises(ModelError, match=r"beyond the 5 bytes"):
        import_native(path)


@pytest.mark.parametrize("location", ["../secret", "/etc/hostname", ".."])
def test_external_values_elsewhere_are_refused(location, tmp_path):
    path = graphs.write("patchcore", tmp_path / "model.onnx", True)
    model = onnx.load(path)
    for constant in model.graph.initializer:
        if constant.name == "model.memory_bank":
            constant.ClearField("raw_data")
            constant.data_location = 1
            entry = constant.external_data.add()
            entry.key, entry.value = "location", location
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="not beside the graph"):
        import_native(path)


def test_sizes_beyond_the_bytes_are_refused(tmp_path):
    path = graphs.write("patchcore", tmp_path / "model.onnx", True)
    model = onnx.load(path)
    for constant in model.graph.initializer:
        if constant.name == "model.memory_bank":
            constant.dims[0] = 1 << 20
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="expected a whole ONNX file"):
        import_native(path)


def test_what_is_no_graph_is_refused(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(np.arange(64, dtype=np.uint8).tobytes())
    with pytest.raises(ModelError, match=r"model\.onnx"):
        import_native(path)


@pytest.mark.parametrize("name", ["missing.onnx", "folder.onnx"])
def test_a_graph_that_cannot_be_read_is_refused(tmp_path, name):
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(ModelError, match=rf"{name}: it cannot be read"):
        import_native(tmp_path / name)
