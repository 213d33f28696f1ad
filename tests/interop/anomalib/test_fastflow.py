"""Files of anomalib's FastFlow: score and map by its formulas, its two forms of subnets, and files that are refused."""

from types import SimpleNamespace

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F

from anomedge.interop.anomalib import fastflow, import_native
from anomedge.interop.anomalib.fastflow import ImportedFastflow
from tests.interop.anomalib import builder, formulas
from tests.interop.anomalib.comparing import images_of
from tests.interop.anomalib.refusing import refused
from tests.pipelines.flows import flowed

CHANNELS, STRIDES, STEPS = (64, 128, 256), (4, 8, 16), 3
RATIO = 0.25
FLOW = "fast_flow_blocks.0.module_list.0."


def step_of(channels, kernel):
    """The tensors of a step, as anomalib names them."""
    half = channels // 2
    hidden = int(half * RATIO)
    w = torch.eye(channels)[torch.randperm(channels)]
    return {
        "global_scale": 10 + 0.5 * torch.randn(1, channels, 1, 1),
        "global_offset": 0.1 * torch.randn(1, channels, 1, 1),
        "w_perm": w[:, :, None, None],
        "w_perm_inv": w.T[:, :, None, None],
        "subnet.0.weight": 0.1 * torch.randn(hidden, half, kernel, kernel),
        "subnet.0.bias": 0.1 * torch.randn(hidden),
        "subnet.2.weight": 0.3 * torch.randn(channels, hidden, kernel, kernel),
        "subnet.2.bias": 0.5 * torch.randn(channels),
    }


def state_of():
    """The tensors of a fitted model."""
    weights = builder.network(["layer1", "layer2", "layer3"]).state_dict()
    state = {f"feature_extractor.{name}": x for name, x in weights.items()}
    torch.manual_seed(4)
    for i, (channels, stride) in enumerate(zip(CHANNELS, STRIDES, strict=True)):
        shape = (channels, *(side // stride for side in builder.SIZE))
        state[f"norms.{i}.weight"] = 0.6 + 0.1 * torch.randn(shape)
        state[f"norms.{i}.bias"] = 0.2 * torch.randn(shape)
        for step in range(STEPS):
            prefix = f"fast_flow_blocks.{i}.module_list.{step}."
            for name, x in step_of(channels, 3 - 2 * (step % 2)).items():
                state[prefix + name] = x
    return state


def content_of(state, **changed):
    content = builder.checkpoint_27("padim", state)
    arguments = {"backbone": "resnet18", "flow_steps": STEPS}
    arguments |= {"conv3x3_only": False, "hidden_ratio": RATIO}
    content["hyper_parameters"] = arguments | changed
    return content


def flow_of(state, i):
    """The tensors of a level's flow with indices in place of matrices."""
    prefix = f"fast_flow_blocks.{i}."
    own = {}
    for name, x in state.items():
        if not name.startswith(prefix):
            continue
        inner, value = name.removeprefix(prefix), x.double().numpy()
        if inner.endswith("w_perm"):
            inner = inner.replace("w_perm", "order")
            value = value[:, :, 0, 0].argmax(axis=1)
        own[inner] = value
    return own


def expected_of(state):
    """Score and map of anomalib's eager model in float64."""
    maps = formulas.features(
        state,
        ["layer1", "layer2", "layer3"],
        images_of(builder.SIZE),
        builder.MEAN,
        builder.STD,
        "feature_extractor.",
    )
    levels = []
    for i, x in enumerate(maps):
        weight, bias = (
            state[f"norms.{i}.{name}"].double() for name in ("weight", "bias")
        )
        y = F.layer_norm(x, x.shape[1:], weight, bias).numpy()
        z, _ = flowed(y, flow_of(state, i))
        p = torch.from_numpy(np.exp(-(z**2).mean(axis=1, keepdims=True) / 2))
        levels.append(F.interpolate(p, size=builder.SIZE, mode="bilinear"))
    anomaly_map = -torch.stack(levels).mean(dim=0)
    return anomaly_map.amax(dim=(1, 2, 3)), anomaly_map


def assert_outputs(pipeline, expected):
    with torch.no_grad():
        found = pipeline(images_of(builder.SIZE))
    for values, wanted in zip(found, expected, strict=True):
        error = (values - wanted).abs().max()
        assert error < 1e-5 * (wanted.max() - wanted.min())


def test_score_and_map_are_those_of_anomalib(tmp_path):
    state = state_of()
    imported = import_native(builder.saved(content_of(state), tmp_path))
    assert imported.pipeline.name == "fastflow"
    assert imported.thresholds.image_threshold == 5.0
    assert_outputs(imported.pipeline, expected_of(state))


def test_subnets_with_layers_that_pad_are_those_of_version_1(tmp_path):
    state = state_of()
    expected = expected_of(state)
    padded = {
        name.replace("subnet.0", "subnet.1").replace("subnet.2", "subnet.4"): x
        for name, x in state.items()
    }
    imported = import_native(builder.saved(content_of(padded), tmp_path))
    assert_outputs(imported.pipeline, expected)


TRANSFORMER = "test_vit3"  # of 96 features, patches of 16 pixels


def state_of_transformer(size=builder.SIZE):
    """The tensors of a model on a whole transformer, and the transformer."""
    torch.manual_seed(5)
    network = timm.create_model(TRANSFORMER, img_size=size).eval()
    state = {
        f"feature_extractor.{name}": x
        for name, x in network.state_dict().items()
    }
    for step in range(STEPS):
        prefix = f"fast_flow_blocks.0.module_list.{step}."
        for name, x in step_of(96, 3 - 2 * (step % 2)).items():
            state[prefix + name] = x
    return state, network


def test_tokens_of_a_transformer_are_those_of_a_block(tmp_path, monkeypatch):
    monkeypatch.setitem(fastflow._BLOCKS, TRANSFORMER, "blocks.5")
    state, network = state_of_transformer()
    content = content_of(state, backbone=TRANSFORMER)
    mean, std = (
        torch.tensor(x, dtype=torch.float64)[None, :, None, None]
        for x in (builder.MEAN, builder.STD)
    )
    scaled = (images_of(builder.SIZE).double() - mean) / std
    network.double().blocks = network.blocks[:6]
    with torch.no_grad():
        tokens = network.forward_features(scaled)[:, 1:]
    y = tokens.transpose(1, 2).reshape(-1, 96, 2, 3).numpy()
    z, _ = flowed(y, flow_of(state, 0))
    p = torch.from_numpy(np.exp(-(z**2).mean(axis=1, keepdims=True) / 2))
    expected = -F.interpolate(p, size=builder.SIZE, mode="bilinear")
    imported = import_native(builder.saved(content, tmp_path))
    assert_outputs(imported.pipeline, (expected.amax(dim=(1, 2, 3)), expected))


def test_a_transformer_for_another_size_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(fastflow._BLOCKS, TRANSFORMER, "blocks.5")
    state, _ = state_of_transformer((64, 64))
    content = content_of(state, backbone=TRANSFORMER)
    refused(content, tmp_path, "pos_embed of shape.*images of 32x48")


def test_a_file_needs_flows_and_a_backbone_and_nothing_else():
    def matches(*names):
        tensors = dict.fromkeys(names)
        return ImportedFastflow.matches(SimpleNamespace(tensors=tensors))

    flow, backbone = f"{FLOW}w_perm", "feature_extractor.conv1.weight"
    assert matches(flow, backbone)
    assert matches(flow, backbone, "norms.0.weight")
    assert not matches(flow)
    assert not matches(backbone)
    assert not matches(flow, backbone, "memory_bank")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"backbone": "resnet50"}, "'resnet50'.*expected one of resnet18"),
        ({"backbone": ["resnet18"]}, "got the backbone"),
        ({"backbone": None}, "got the backbone None"),
        ({"flow_steps": 4}, "no tensor 0.module_list.3"),
        ({"flow_steps": 2}, "got tensor 0.module_list.2"),
        ({"flow_steps": 10**9}, "got flow_steps = 1000000000"),
        ({"hidden_ratio": 0.5}, r"subnet.0.weight of shape \(8, 32, 3, 3\)"),
        ({"conv3x3_only": True}, r"1.subnet.0.weight of shape \(8, 32, 1, 1\)"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(changed, match, tmp_path):
    refused(content_of(state_of(), **changed), tmp_path, match)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({f"{FLOW}w_perm": torch.rand(64, 64, 1, 1)}, "permutes no channels"),
        ({f"{FLOW}w_perm": torch.zeros(64, 64, 1, 1)}, "permutes no channels"),
        ({f"{FLOW}w_perm": torch.eye(32)}, r"w_perm of shape \(32, 32\)"),
        ({"norms.0.weight": torch.rand(64, 16, 16)}, "images of 32x48"),
        ({f"{FLOW}vk_householder": torch.rand(2, 64)}, "vk_householder, which"),
    ],
)
def test_tensors_that_cannot_be_used_are_refused(changed, match, tmp_path):
    refused(content_of(state_of() | changed), tmp_path, match)
