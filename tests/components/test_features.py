"""Feature maps of backbones, by name and as modules."""

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from anomedge.components import FeatureExtractor
from anomedge.errors import ModelError
from tests.components.networks import hooked, whole


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_features_are_those_of_the_whole_network(tmp_path, suffix):
    model, layers = whole(), ["blocks.1", "blocks.3", "blocks.2"]
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(model.state_dict(), path)
    else:
        save_file(model.state_dict(), path)
    extractor = FeatureExtractor(
        "test_efficientnet", layers, weights=path
    ).eval()
    x = torch.rand(2, 3, 64, 48)
    with torch.no_grad():
        expected, produced = hooked(model, layers, x), extractor(x)
    assert list(produced) == layers
    for layer, channels, stride in zip(
        layers, extractor.channels, extractor.strides, strict=True
    ):
        assert torch.equal(produced[layer], expected[layer])
        assert produced[layer].shape[1] == channels
        assert produced[layer].shape[2] == 64 // stride


def test_a_module_is_cut_at_its_paths():
    model = whole()
    extractor = FeatureExtractor(model, ["blocks.1", "blocks.3"])
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = hooked(model, ["blocks.1", "blocks.3"], x)
        produced = extractor(x)
    assert (extractor.backbone, extractor.strides) == ("EfficientNet", [4, 16])
    assert all(
        torch.equal(produced[layer], expected[layer]) for layer in expected
    )


def test_maps_with_channels_last_stand_up():
    """timm's Swin, MambaOut and Sequencer give (B, h, w, C); at h = C = w nothing but timm's word would tell."""
    extractor = FeatureExtractor(
        "test_mambaout", ["stages.1", "stages.0"], pre_trained=False
    )
    x = torch.rand(2, 3, 64, 48)  # stages.0 has as many rows as channels
    with torch.no_grad():
        finest, coarser = extractor.feature_extractor(x)
        produced = extractor(x)
    assert [tuple(maps.shape) for maps in produced.values()] == [
        (2, 32, 8, 6),
        (2, 16, 16, 12),
    ]
    assert torch.equal(produced["stages.0"], finest.permute(0, 3, 1, 2))
    assert torch.equal(produced["stages.1"], coarser.permute(0, 3, 1, 2))


@pytest.mark.parametrize("offset", [3, 4, 0])
def test_layers_have_timms_numbers(offset):
    """For a residual network: the place among the children less the offset, as older anomalib counts."""
    extractor = FeatureExtractor(
        "resnet18", ["layer3", "layer1"], pre_trained=False
    )
    children = [
        name for name, _ in timm.create_model("resnet18").named_children()
    ]
    expected = [
        children.index(layer) - offset for layer in ("layer3", "layer1")
    ]
    assert extractor._map_layer_to_idx(offset=offset) == expected
    assert extractor.idx == extractor._map_layer_to_idx() == [3, 1]
    assert extractor.out_dims == extractor.channels == [256, 64]


def test_the_backbone_stays_in_evaluation():
    """In training mode batch statistics would be those of the batch, and be changed by it."""
    extractor = FeatureExtractor(
        "test_efficientnet", ["blocks.1"], pre_trained=False
    )
    x = torch.rand(2, 3, 32, 32)
    before = {
        name: value.clone() for name, value in extractor.state_dict().items()
    }
    expected = extractor(input=x)["blocks.1"]
    assert torch.equal(extractor.train()(x)["blocks.1"], expected)
    assert all(
        torch.equal(value, before[name])
        for name, value in extractor.state_dict().items()
    )
    assert not any(
        parameter.requires_grad for parameter in extractor.parameters()
    )


def test_layers_of_a_module_have_no_numbers():
    with pytest.raises(ModelError, match="by name"):
        FeatureExtractor(whole(), ["blocks.1"])._map_layer_to_idx()


@pytest.mark.parametrize(
    ("backbone", "layers", "weights", "match"),
    [
        ("no_such_net", ["layer1"], None, "architecture"),
        ("hf-hub:someone/something", ["layer1"], None, "architecture"),
        ("test_efficientnet", ["layer9"], None, "expected some of"),
        ("test_efficientnet", [], None, "at least one"),
        ("test_efficientnet", ["blocks.1", "blocks.1"], None, "each once"),
        (
            "test_efficientnet",
            ["blocks.1"],
            "missing.pth",
            "expected a .safetensors",
        ),
        (
            "test_efficientnet",
            ["blocks.1"],
            "efficientnet-lite0",
            "--backbone tf_efficientnet_lite0",
        ),
        (nn.Sequential(nn.Conv2d(3, 4, 3)), ["7"], None, "expected paths"),
    ],
)
def test_what_cannot_be_had_is_said(backbone, layers, weights, match):
    with pytest.raises(ModelError, match=match):
        FeatureExtractor(backbone, layers, weights=weights)


def test_the_module_given_stays_as_it_is():
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)
    ).train()
    extractor = FeatureExtractor(net, ["0"], pre_trained=False)
    assert (
        net.training
        and net[1].training
        and all(weight.requires_grad for weight in net.parameters())
    )
    assert not {id(w) for w in net.parameters()} & {
        id(w) for w in extractor.parameters()
    }


def test_one_layer_may_be_given_as_a_string():
    extractor = FeatureExtractor(
        "test_efficientnet", "blocks.1", pre_trained=False
    )
    assert extractor.layers == ["blocks.1"]
    assert list(extractor(torch.rand(1, 3, 32, 32))) == ["blocks.1"]
