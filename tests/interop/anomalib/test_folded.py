"""Backbones of exported graphs, whose normalisations are folded."""

import onnx
import pytest
import torch

from anomedge.components import FeatureExtractor
from anomedge.errors import ModelError
from anomedge.interop.anomalib import import_native
from anomedge.interop.anomalib.folded import _pairs, inferred_network, unfolded
from tests.interop.anomalib import graphs
from tests.interop.anomalib.files import Source


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


def extractor_of(name="resnet18", layers=("layer1",)):
    """An extractor, and the names and values of its convolutions with the normalisations in them."""
    torch.manual_seed(0)
    extractor = FeatureExtractor(name, layers, pre_trained=False).eval()
    found = {}
    with torch.no_grad():
        for convolution, norm, eps in _pairs(extractor):
            part = extractor.get_submodule(norm)
            part.running_var.uniform_(0.5, 2)
            part.running_mean.uniform_(-1, 1)
            gain = part.weight / (part.running_var + eps).sqrt()
            weight = extractor.get_submodule(convolution).weight
            found[f"{convolution}.weight"] = weight * gain[:, None, None, None]
            found[f"{convolution}.bias"] = part.bias - part.running_mean * gain
    return extractor, {key: Source(value) for key, value in found.items()}


def test_an_unfolded_backbone_computes_as_the_folded_one():
    extractor, found = extractor_of()
    x = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        expected = extractor(x)["layer1"]
        extractor.load_state_dict(unfolded(found, extractor))
        torch.testing.assert_close(extractor(x)["layer1"], expected, rtol=1e-4, atol=1e-4)  # fmt: skip


def test_convolutions_behind_the_last_layer_are_zero():
    extractor, found = extractor_of()
    last = [name for name in found if name.endswith(".weight")][-1]
    del found[last]
    state = unfolded(found, extractor)
    assert not state[last].any()


def test_a_bias_of_another_shape_is_refused():
    extractor, found = extractor_of()
    first = next(name for name in found if name.endswith(".bias"))
    found[first] = Source(torch.ones(3))
    with pytest.raises(ModelError, match=r"of shape \(3,\); expected \(64,\)"):
        unfolded(found, extractor)


def test_a_network_is_told_by_its_convolutions():
    inner = "feature_extractor."
    _, found = extractor_of()
    tensors = {f"{inner}{name}": each for name, each in found.items()}
    path = f"{inner}{inner}layer1.1.conv2"
    assert inferred_network(tensors, [path]) == ("resnet18", ("layer1",))
    with pytest.raises(ModelError, match="an unknown backbone"):
        inferred_network(tensors, [path, path])
    with pytest.raises(ModelError, match="an unknown backbone"):
        inferred_network(tensors, [f"{inner}{inner}head.conv"])
