"""Architectures of a fixed size, built for another."""

import pytest
import timm
import torch
from safetensors.torch import save_file

from anomedge.components import FeatureExtractor
from anomedge.components.image_sizes import size_options
from anomedge.errors import ModelError


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
