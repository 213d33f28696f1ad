"""Weights that feature maps depend on, found without values."""

import timm
import torch
from torch import nn

from anomedge.components.used_weights import used_keys


def feature_model(name, layer):
    with torch.device("meta"):
        return timm.create_model(
            name, pretrained=False, features_only=True, out_indices=[layer]
        )


def keys_of(name):
    with torch.device("meta"):
        return timm.create_model(name, pretrained=False).state_dict()


def test_layers_behind_the_maps_are_not_used():
    expected = keys_of("test_efficientnet")
    used = used_keys(feature_model("test_efficientnet", 1), expected)
    assert used <= set(expected)
    assert {key.split(".")[0] for key in used} == {"conv_stem", "bn1", "blocks"}
    assert {"conv_stem.weight", "bn1.running_mean"} <= used
    blocks = {key.split(".")[1] for key in used if key.startswith("blocks")}
    assert blocks == {"0", "1"}


def test_a_vit_uses_its_embedding_at_the_size_it_was_made_for():
    used = used_keys(feature_model("test_vit3", 0), keys_of("test_vit3"))
    assert {"pos_embed", "patch_embed.proj.weight"} <= used
    assert not any(key.startswith(("blocks.1", "head")) for key in used)


def test_keys_that_the_whole_model_lacks_are_not_determined():
    expected = keys_of("test_resnet")
    assert used_keys(feature_model("test_efficientnet", 1), expected) is None


def test_a_network_that_fails_without_values_is_not_determined():
    class Counting(nn.Module):
        def forward(self, x):
            return [x] * int(x.sum())

    assert used_keys(Counting(), {}) is None
