"""FastFlow: score, map and loss by independent formulas, its log-Jacobian by autograd, its networks and its defaults."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from anomedge.errors import InputError
from anomedge.pipelines import FitData
from anomedge.pipelines.fastflow import (
    Fastflow,
    FastflowConfig,
    FastflowOptions,
    Flows,
    _refuse_narrow_subnets,
)
from anomedge.pipelines.fitting import SmallSampleWarning, fit
from anomedge.pipelines.model import load, save
from tests.components.flows.cases import shaken
from tests.conftest import tiny_options
from tests.pipelines.flows import flowed
from tests.pipelines.laws import (
    assert_a_batch_is_its_images,
    assert_equal_tensors,
    assert_exports_strictly,
)
from tests.pipelines.levels import LAYERS, SIZE, fitted

QUICK = {
    "epochs": 2,
    "train_batch": 2,
    "learning_rate": 0.01,
    "flow_steps": 3,
    "device": "cpu",
}


def latent_of(made, images):
    """z and log |det J| of each level, with numpy; features by the module."""
    mean, std = (
        np.reshape(values, (1, 3, 1, 1))
        for values in (made.config.mean, made.config.std)
    )
    scaled = torch.from_numpy((images.numpy() - mean) / std)
    with torch.no_grad():
        features = made.extractor(scaled.to(images))
    levels = zip(LAYERS, made.norms, made.flows.levels, strict=True)
    for layer, norm, flow in levels:
        x = features[layer].numpy()
        axes = (1, 2, 3)
        centred = x - x.mean(axis=axes, keepdims=True)
        deviation = np.sqrt(x.var(axis=axes, keepdims=True) + 1e-5)
        y = centred / deviation * norm.weight.numpy() + norm.bias.numpy()
        state = {k: v.numpy() for k, v in flow.state_dict().items()}
        yield flowed(y, state)


def test_score_and_map_are_the_formula_in_float64(float64):
    made, images = fitted(Fastflow, **QUICK)
    images = images.double()
    maps = []
    for z, _ in latent_of(made, images):
        likelihood = np.exp(-(z**2).mean(axis=1, keepdims=True) / 2)
        large = F.interpolate(
            torch.from_numpy(likelihood), size=SIZE, mode="bilinear"
        )
        maps.append(large.numpy())
    expected = -np.mean(maps, axis=0)
    with torch.no_grad():
        found = made(images)
    assert found.anomaly_map.dtype == torch.float64
    np.testing.assert_allclose(found.anomaly_map, expected, rtol=1e-9)
    score = expected.max(axis=(1, 2, 3))
    np.testing.assert_allclose(found.score, score, rtol=1e-9)


def test_the_loss_is_the_formula_in_float64(float64):
    made, images = fitted(Fastflow, **QUICK)
    images = images.double()
    expected = sum(
        (z**2).sum(axis=(1, 2, 3)) / 2 - jacobian
        for z, jacobian in latent_of(made, images)
    ).mean()
    np.testing.assert_allclose(made.loss(images).item(), expected, rtol=1e-9)


def test_the_jacobian_is_that_of_autograd(float64):
    config = FastflowConfig(
        backbone="-",
        layers=("a",),
        size=(8, 8),
        mean=(0, 0, 0),
        std=(1, 1, 1),
        flow_steps=2,
        conv3x3_only=False,
        hidden_ratio=1.5,
        has_norm=True,
    )
    flows = shaken(Flows([3], config))
    y = torch.randn(1, 3, 2, 3)
    jacobian = torch.autograd.functional.jacobian(
        lambda y: flows([y])[0], y
    ).reshape(18, 18)
    ((_, found),) = flows.with_jacobians([y])
    expected = torch.linalg.slogdet(jacobian).logabsdet
    torch.testing.assert_close(found[0], expected, rtol=1e-9, atol=1e-9)


def test_a_batch_is_its_images_and_equal_seeds_give_equal_tensors():
    made, images = fitted(Fastflow, **QUICK)
    assert_a_batch_is_its_images(made, images)
    assert_equal_tensors(made, fitted(Fastflow, **QUICK)[0])


def test_flows_and_norms_are_trained_and_the_backbone_is_not():
    first, _ = fitted(Fastflow, **QUICK | {"learning_rate": 1e-9})
    later, _ = fitted(Fastflow, **QUICK | {"epochs": 8})
    assert later.record.loss < first.record.loss - 30
    changed = {
        name.split(".")[0]
        for name, tensor in first.state_dict().items()
        if not torch.allclose(tensor, later.state_dict()[name], atol=1e-4)
    }
    assert changed == {"flows", "norms"}


def test_kernels_take_turns_and_subnets_have_their_width():
    def kernels(**options):
        made, _ = fitted(Fastflow, **QUICK | {"epochs": 1} | options)
        subnets = [step.subnet for step in made.flows.levels[1]]
        return [(s[0].kernel_size[0], s[0].out_channels) for s in subnets]

    assert kernels() == [(3, 3), (1, 3), (3, 3)]
    narrow = kernels(conv3x3_only=True, hidden_ratio=0.5)
    assert narrow == [(3, 1), (3, 1), (3, 1)]
    with pytest.raises(InputError, match=r"hidden-ratio 0.5 or more"):
        kernels(hidden_ratio=0.1)


@pytest.mark.parametrize("channels", [2, 6, 14, 24, 1536])
def test_the_advised_width_of_subnets_is_accepted(channels):
    extractor = SimpleNamespace(channels=[channels])
    with pytest.raises(InputError) as refused:
        _refuse_narrow_subnets(extractor, 1e-6)
    advised = re.search(r"--hidden-ratio ([0-9.]+) or more", str(refused.value))
    _refuse_narrow_subnets(extractor, float(advised[1]))


def test_a_transformer_has_one_layer_and_its_own_norm():
    options = FastflowOptions(
        backbone="test_vit3",
        weights="random",
        epochs=1,
        flow_steps=2,
        device="cpu",
    )
    images = torch.rand(2, 3, 32, 48)
    made = Fastflow.fit(FitData([images], size=(32, 48)), options)
    assert made.config.layers == ("blocks.5",)
    assert not made.config.has_norm
    assert not list(made.norms.parameters())
    scaled = made.scaled(images)
    network = made.extractor.feature_extractor.model
    with torch.no_grad():
        tokens = network.norm(
            network.forward_intermediates(
                scaled, indices=[5], intermediates_only=True, output_fmt="NLC"
            )[0]
        )
        found = made.extractor(scaled)["blocks.5"]
    expected = tokens.transpose(1, 2).reshape(found.shape)
    torch.testing.assert_close(found, expected)


def test_defaults_are_those_of_the_paper():
    options = FastflowOptions()
    assert (options.epochs, options.train_batch) == (500, 32)
    assert (options.learning_rate, options.weight_decay) == (1e-3, 1e-5)
    assert (options.flow_steps, options.hidden_ratio) == (8, 1.0)
    assert options.conv3x3_only is False
    assert Fastflow.default_backbone == "resnet18"
    assert Fastflow._default_layers("resnet18") == [
        "layer1",
        "layer2",
        "layer3",
    ]
    deit = "deit_base_distilled_patch16_384"
    assert Fastflow._default_layers(deit) == ["blocks.7"]


@pytest.mark.slow
def test_it_exports_strictly():
    made, images = fitted(Fastflow, **QUICK)
    assert_exports_strictly(made, images)


def test_the_file_has_the_detector_and_its_training(pictures, tmp_path):
    own = {"epochs": 1, "flow_steps": 2, "device": "cpu"}
    options = tiny_options(pictures, detector=own)
    with pytest.warns(SmallSampleWarning):
        model = fit("fastflow", pictures / "train", options)
    save(model, tmp_path / "m.safetensors")
    found = load(tmp_path / "m.safetensors")
    assert found.card.training == model.card.training
    assert found.pipeline.config == model.pipeline.config
    images = torch.rand(2, 3, *found.geometry.image)
    with torch.no_grad():
        again, first = found.pipeline(images), model.pipeline(images)
    assert torch.equal(again.anomaly_map, first.anomaly_map)
