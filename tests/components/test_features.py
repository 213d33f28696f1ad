import os
import pickle

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from anomedge.components import FeatureExtractor
from anomedge.components.features import depth_layers, layers_at_strides
from anomedge.components.image_sizes import size_options
from anomedge.errors import ModelError


def whole(seed=3):
    torch.manual_seed(seed)
    return timm.create_model("test_efficientnet").eval()


def hooked(model, paths, x):
    found = {}
    handles = [
        model.get_submodule(p).register_forward_hook(
            lambda m, i, o, p=p: found.__setitem__(p, o)
        )
        for p in paths
    ]
    model(x)
    for handle in handles:
        handle.remove()
    return found


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


def test_packaged_weights_see_a_cat():
    """Class 285 of ImageNet, an Egyptian cat, is what the whole network must say of the photograph."""
    import skimage.data

    from anomedge.components.backbone_weights import matching_state_dict

    model = timm.create_model("tf_efficientnet_lite0").eval()
    model.load_state_dict(
        matching_state_dict(
            "efficientnet-lite0", "tf_efficientnet_lite0", model
        )
    )
    extractor = FeatureExtractor(
        "tf_efficientnet_lite0", ["blocks.2"], weights="efficientnet-lite0"
    ).eval()
    cat = (
        torch.from_numpy(skimage.data.chelsea()[:300, :300].copy()).permute(
            2, 0, 1
        )[None]
        / 255
    )
    x = torch.nn.functional.interpolate(
        cat, size=(224, 224), mode="bilinear", antialias=True
    )
    x = (x - extractor.mean[0]) / extractor.std[0]
    with torch.no_grad():
        assert model(x).argmax().item() == 285
        assert torch.equal(
            extractor(x)["blocks.2"], hooked(model, ["blocks.2"], x)["blocks.2"]
        )


@pytest.mark.parametrize(
    ("backbone", "strides", "layers"),
    [
        ("resnet18", [4, 8, 16], ["layer1", "layer2", "layer3"]),
        ("wide_resnet50_2", [8, 16], ["layer2", "layer3"]),
        ("tf_efficientnet_lite0", [8, 16], ["blocks.2", "blocks.4"]),
        (
            "mobilenetv3_small_100",
            [4, 8, 16],
            ["blocks.0", "blocks.1", "blocks.3"],
        ),
    ],
)
def test_layers_by_stride(backbone, strides, layers):
    assert layers_at_strides(backbone, strides) == layers


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


def test_a_name_of_several_feature_maps_is_refused():
    """It used to mean the first of them, whatever its stride."""
    with pytest.raises(
        ModelError,
        match=r"parallel_blocks of coat_tiny names several.*which serial_blocks1 has",
    ):
        FeatureExtractor("coat_tiny", ["parallel_blocks"], pre_trained=False)
    with pytest.raises(
        ModelError,
        match=r"blocks.2 of crossvit_tiny_240 names several.*which none has",
    ):
        layers_at_strides("crossvit_tiny_240", [17])


def test_missing_strides_name_every_layer_there_is():
    with pytest.raises(
        ModelError,
        match=r"no layer of stride 4, 8; it has blocks\.0, .*blocks\.11 \(16\)",
    ):
        layers_at_strides("deit_tiny_patch16_224", [4, 8, 16])


def test_layers_of_one_stride_are_spread_over_the_depth():
    assert depth_layers("deit_tiny_patch16_224", 3) == [
        "blocks.2",
        "blocks.5",
        "blocks.8",
    ]
    assert depth_layers("vit_small_patch14_dinov2", 2) == [
        "blocks.3",
        "blocks.7",
    ]
    assert depth_layers("swin_tiny_patch4_window7_224", 2) is None
    assert depth_layers("crossvit_tiny_240", 2) is None


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


def planted(path):
    """A pickle that would run a command."""

    class Planted:
        def __reduce__(self):
            return os.system, (f"touch {path}",)

    return pickle.dumps({"a": Planted()}, protocol=2)  # as torch writes it


def test_no_pickle_is_executed(tmp_path):
    (tmp_path / "weights.pth").write_bytes(planted(tmp_path / "executed"))
    with pytest.raises(ModelError, match="no plain weights") as refused:
        FeatureExtractor(
            "test_efficientnet", ["blocks.1"], weights=tmp_path / "weights.pth"
        )
    assert "weights_only" not in str(
        refused.value
    )  # torch's own text says how to run it all the same
    assert not (tmp_path / "executed").exists()


def test_weights_of_another_architecture_are_refused(tmp_path):
    save_file(
        timm.create_model("test_resnet").state_dict(),
        tmp_path / "weights.safetensors",
    )
    with pytest.raises(ModelError, match="does not fit"):
        FeatureExtractor(
            "test_efficientnet",
            ["blocks.1"],
            weights=tmp_path / "weights.safetensors",
        )


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


@pytest.mark.parametrize("prefix", ["model.", "module.", "backbone.model."])
def test_a_prefix_that_all_keys_share_is_taken_off(tmp_path, prefix):
    model, path = whole(), tmp_path / "weights.safetensors"
    save_file(
        {prefix + key: tensor for key, tensor in model.state_dict().items()},
        path,
    )
    x = torch.rand(1, 3, 32, 32)
    extractor = FeatureExtractor(
        "test_efficientnet", ["blocks.1"], weights=path
    )
    with torch.no_grad():
        assert torch.equal(
            extractor(x)["blocks.1"], hooked(model, ["blocks.1"], x)["blocks.1"]
        )


@pytest.mark.parametrize("more", ["model.something_else", "other.weight"])
def test_a_prefix_is_kept_where_the_keys_do_not_match_without(tmp_path, more):
    path = tmp_path / "weights.safetensors"
    state = {
        f"model.{key}": tensor for key, tensor in whole().state_dict().items()
    }
    save_file(state | {more: torch.zeros(1)}, path)
    with pytest.raises(ModelError, match="does not fit"):
        FeatureExtractor("test_efficientnet", ["blocks.1"], weights=path)


def test_a_vit_is_built_for_the_size_asked_for_and_its_weights_are_interpolated(
    tmp_path,
):
    torch.manual_seed(0)
    pretrained = timm.create_model("test_vit3")
    torch.nn.init.normal_(pretrained.pos_embed)
    path = tmp_path / "weights.safetensors"
    save_file(pretrained.state_dict(), path)
    extractor = FeatureExtractor(
        "test_vit3", ["blocks.3", "blocks.1"], weights=path, size=(96, 64)
    )
    other = timm.create_model("test_vit3", img_size=(96, 64)).eval()
    other.load_state_dict(
        timm.models.vision_transformer.checkpoint_filter_fn(
            pretrained.state_dict(), other
        )
    )
    x = torch.rand(2, 3, 96, 64)
    with torch.no_grad():
        expected = other.forward_intermediates(
            x, indices=[1, 3], intermediates_only=True
        )
        produced = extractor(x)
    assert torch.allclose(produced["blocks.1"], expected[0], atol=1e-6)
    assert torch.allclose(produced["blocks.3"], expected[1], atol=1e-6)
    assert extractor.channels == [96, 96]


@pytest.mark.parametrize(
    ("backbone", "layer", "shape"),
    [
        ("vit_tiny_patch16_224", "blocks.3", (192, 6, 8)),
        ("deit_tiny_patch16_224", "blocks.3", (192, 6, 8)),
        ("swin_tiny_patch4_window7_224", "layers.1", (192, 12, 16)),
        ("hiera_tiny_224", "blocks.2", (192, 12, 16)),
        ("eva02_tiny_patch14_224", "blocks.3", (192, 7, 9)),
        ("vit_small_patch14_dinov2", "blocks.3", (384, 7, 9)),
    ],
)
def test_architectures_of_a_fixed_size_take_another(backbone, layer, shape):
    size = (98, 126) if shape[1] == 7 else (96, 128)
    with torch.device("meta"):
        extractor = FeatureExtractor(
            backbone, [layer], pre_trained=False, size=size
        )
        assert extractor(torch.empty(1, 3, *size))[layer].shape == (1, *shape)


def test_sizes_that_do_not_divide_name_those_that_do():
    with pytest.raises(
        ModelError,
        match=r"does not take images of 100x100 \(.*\); expected 98x98 or 112x112",
    ):
        FeatureExtractor(
            "vit_small_patch14_dinov2",
            ["blocks.3"],
            pre_trained=False,
            size=(100, 100),
        )


def test_a_fixed_size_is_kept_where_it_is_asked_for():
    assert (
        size_options(
            "test_vit3", {"features_only": True, "out_indices": [1]}, (160, 160)
        )
        == {}
    )
    assert (
        size_options(
            "test_resnet", {"features_only": True, "out_indices": [1]}, (96, 64)
        )
        == {}
    )
    extractor = FeatureExtractor(
        "vit_tiny_patch16_224", ["blocks.3"], pre_trained=False
    )
    with pytest.raises(
        ModelError, match=r"does not take images of 64x64.*give size=\(64, 64\)"
    ):
        extractor(torch.rand(1, 3, 64, 64))
