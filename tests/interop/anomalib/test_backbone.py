"""The backbone of a file: its name, its layers and its weights."""

import pytest
import torch

from tests.interop.anomalib import builder
from tests.interop.anomalib.refusing import refused


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"backbone": "hf-hub:a/b"}, "the name of a timm architecture"),
        ({"backbone": "no_such_network"}, "no_such_network"),
        ({"backbone": 3}, "the name of a timm architecture"),
        ({"backbone": "vit_tiny_patch16_224"}, "a transformer"),
        ({"backbone": "resnet34"}, "of resnet34"),
        ({"layers": "layer2"}, "expected names such as"),
        ({"layers": [2, 3]}, "expected names such as"),
        ({"layers": ["layer3", "layer2"]}, "finest first"),
        ({"layers": ["layer2"]}, "which resnet18 with these layers lacks"),
        ({"num_neighbors": 0}, "expected 1 to 1024"),
        ({"num_neighbors": 10**30}, "expected 1 to 1024"),
        ({"num_neighbors": True}, "expected 1 to 1024"),
        ({"num_neighbors": "9"}, "expected 1 to 1024"),
    ],
)
def test_hyper_parameters_out_of_range_are_refused(changed, match, tmp_path):
    content = builder.checkpoint_27("patchcore", **changed)
    refused(content, tmp_path, match)


@pytest.mark.parametrize("missing", [True, False])
def test_a_tensor_of_the_backbone_is_named(missing, tmp_path):
    state = builder.model_state("padim")
    key = "feature_extractor.feature_extractor.layer1.0.conv1.weight"
    state[key] = torch.ones(3)
    if missing:
        del state[key]
    content = builder.checkpoint_27("padim", state)
    refused(content, tmp_path, r"layer1\.0\.conv1\.weight")


def test_two_names_of_one_weight_are_refused(tmp_path):
    state = builder.model_state("patchcore")
    name = "feature_extractor.feature_extractor.conv1.weight"
    state["feature_extractor.module.conv1.weight"] = state[name] * 0
    content = builder.checkpoint_27("patchcore", state)
    refused(content, tmp_path, "two tensors feature_extractor.conv1.weight")
