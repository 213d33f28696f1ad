"""Layers of timm's architectures, found by their stride or depth."""

import pytest

from anomedge.components import FeatureExtractor
from anomedge.components.features import depth_layers, layers_at_strides
from anomedge.errors import ModelError


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
