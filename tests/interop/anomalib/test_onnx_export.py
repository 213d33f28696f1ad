"""Detectors from exported graphs: the same as from the checkpoint, and refusals."""

import numpy as np
import onnx
import pytest
import torch

from anomedge.errors import InputError, ModelError
from anomedge.interop.anomalib import import_native
from anomedge.resample import Geometry
from tests.interop.anomalib import builder, graphs


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("name", ["padim", "patchcore"])
def test_a_graph_is_the_model_of_its_checkpoint(name, named, tmp_path):
    path = graphs.write(name, tmp_path / "model.onnx", named)
    content = builder.checkpoint_27(name)
    expected = import_native(builder.saved(content, tmp_path))
    imported = import_native(path)
    assert imported.pipeline.config == expected.pipeline.config
    images = torch.rand(2, 3, *builder.SIZE)
    own, theirs = imported.pipeline(images), expected.pipeline(images)
    assert torch.allclose(own.anomaly_map, theirs.anomaly_map, rtol=1e-5)
    assert torch.allclose(own.score, theirs.score, rtol=1e-5)


def test_a_graph_has_a_threshold_and_a_range(tmp_path):
    path = graphs.write("patchcore", tmp_path / "model.onnx", True)
    thresholds = import_native(path).thresholds
    assert thresholds.image_threshold == 5.0
    assert (thresholds.image_range, thresholds.pixel_range) == (3.0, 6.5)
    assert thresholds.image_min is None


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


def test_a_graph_for_any_size_needs_a_size(tmp_path):
    path = graphs.write(
        "patchcore", tmp_path / "model.onnx", True, ("height", "width")
    )
    with pytest.raises(InputError, match="any size") as caught:
        import_native(path)
    assert "--size" in str(caught.value)
    assert import_native(path, size=(64, 64)).geometry == Geometry((64, 64))


def test_a_resize_in_the_graph_states_the_size(tmp_path):
    path = graphs.write(
        "patchcore",
        tmp_path / "model.onnx",
        True,
        ("height", "width"),
        resize=np.array(builder.SIZE),
    )
    imported = import_native(path)
    lines = {line.what: line.source for line in imported.taken}
    assert imported.geometry == Geometry(builder.SIZE)
    assert (lines["size"], lines["resize"]) == ("file", "computed")


def test_a_graph_of_an_unknown_backbone_is_refused(tmp_path):
    path = graphs.write("patchcore", tmp_path / "model.onnx", True)
    model = onnx.load(path)
    first = next(n for n in model.graph.node if n.op_type == "Conv")
    first.input[1] = next(
        each.name
        for each in model.graph.initializer
        if each.name.endswith("layer1.0.conv1.weight")
    )
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="unknown backbone"):
        import_native(path)


def test_nodes_that_lack_inputs_are_refused(tmp_path):
    path = graphs.write("patchcore", tmp_path / "model.onnx", True)
    model = onnx.load(path)
    for node in model.graph.node:
        if node.op_type == "AveragePool":
            del node.input[:]
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="nodes that lack inputs"):
        import_native(path)


def test_a_crop_in_the_graph_is_refused(tmp_path):
    path = graphs.write(
        "patchcore", tmp_path / "model.onnx", True, before=[("Slice", "a")]
    )
    with pytest.raises(ModelError, match="expected no crop"):
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
