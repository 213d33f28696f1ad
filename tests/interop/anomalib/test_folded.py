"""Backbones of exported graphs, whose normalisations are folded."""

import onnx
import pytest

from anomedge.errors import ModelError
from anomedge.interop.anomalib import import_native
from tests.interop.anomalib import graphs


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
