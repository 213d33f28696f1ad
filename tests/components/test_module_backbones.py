"""Modules of any kind as backbones: layouts told apart, forward hooks where tracing fails, one line otherwise."""

import pytest
import timm
import torch
import torchvision
from torch import nn

from anomedge.components import FeatureExtractor
from anomedge.errors import ModelError
from tests.components.networks import Shaped


def test_torchvisions_swin_has_its_channels_last():
    swin = torchvision.models.SwinTransformer(
        [4, 4], 16, [1, 1], [1, 2], [4, 4]
    ).eval()
    extractor = FeatureExtractor(swin, ["features.1"])
    x = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        expected = swin.features[:2](x).permute(0, 3, 1, 2)
        assert torch.equal(extractor(x)["features.1"], expected)
    assert (extractor.channels, extractor.strides) == ([16], [4])


def test_a_vit_gives_the_maps_that_timm_makes_of_it():
    vit = timm.create_model("test_vit3").eval()
    x = torch.rand(1, 3, 160, 160)
    with torch.no_grad():
        (expected,) = vit.forward_intermediates(
            x, indices=[2], intermediates_only=True
        )
        extractor = FeatureExtractor(vit, ["blocks.2"])
        produced = extractor(x)["blocks.2"]
    assert torch.allclose(produced, expected, atol=1e-6)
    assert extractor.strides == [16]
    with pytest.raises(
        ModelError, match="VisionTransformer does not take images of 64x64"
    ):
        FeatureExtractor(vit, ["blocks.2"], size=(64, 64))
    with pytest.raises(
        ModelError,
        match=r"does not take images of 64x64 .*expected the size that it was made for",
    ):
        extractor(torch.rand(1, 3, 64, 64))


def hooked(module, layer, x):
    found = []
    handle = module.get_submodule(layer).register_forward_hook(
        lambda m, i, output: found.append(output)
    )
    with torch.no_grad():
        module(x)
    handle.remove()
    return found[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "layer", "stride"),
    [("mobilevit_xxs", "stages.2", 8), ("efficientvit_b0", "stages.1", 8)],
)
def test_modules_that_fx_cannot_trace_run_with_hooks(name, layer, stride):
    module = timm.create_model(name).eval()
    extractor = FeatureExtractor(module, [layer])
    x = torch.rand(1, 3, 64, 64)
    assert extractor.strides == [stride]
    assert torch.equal(extractor(x)[layer], hooked(module, layer, x))
    assert not module.get_submodule(layer)._forward_hooks


def test_hooks_end_the_run_at_the_last_layer():
    module = Shaped(lambda x: x, traceable=False)
    module.made = nn.Sequential(
        nn.Identity(), nn.Linear(7, 1)
    )  # a head that takes no such map
    extractor = FeatureExtractor(module, ["conv", "made.0"])
    x = torch.rand(1, 3, 40, 64)
    produced = extractor(x)
    assert list(produced) == ["conv", "made.0"]
    assert torch.equal(produced["made.0"], module.conv(x))


@pytest.mark.parametrize(
    "wrap",
    [nn.DataParallel, pytest.param(torch.compile, marks=pytest.mark.slow)],
)
def test_wrappers_are_taken_off(wrap):
    module = timm.create_model("test_efficientnet").eval()
    extractor = FeatureExtractor(wrap(module), ["blocks.1"])
    assert extractor.backbone == "EfficientNet"
    x = torch.rand(1, 3, 64, 64)
    assert torch.equal(extractor(x)["blocks.1"], hooked(module, "blocks.1", x))


class Repeated(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.unused = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return self.conv(self.conv(x)) if x.shape[2] < 5000 else x


class OneSize(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 8, stride=8)

    def forward(self, x):
        if x.shape[2:] != (96, 128):
            raise ValueError("96x128 only")
        return self.conv(x)


def test_modules_are_tried_at_the_size_asked_for():
    extractor = FeatureExtractor(OneSize(), ["conv"], size=(96, 128))
    assert (extractor.channels, extractor.strides) == ([4], [8])
    with pytest.raises(
        ModelError,
        match=r"OneSize does not take images of 64x64, 224x224 .*96x128 only",
    ):
        FeatureExtractor(OneSize(), ["conv"])


def uncopyable():
    module = nn.Sequential(nn.Conv2d(3, 4, 3))
    module.weight_seen = module[0].weight * 2
    return module


SCRIPTED = (
    "compiled TorchScript module.*expected the nn.Module that it was made from"
)


@pytest.mark.filterwarnings("ignore:.*torch.jit")
@pytest.mark.parametrize(
    ("module", "layer", "match"),
    [
        (
            lambda: torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3))),
            "0",
            SCRIPTED,
        ),
        (
            lambda: torch.jit.trace(
                nn.Sequential(nn.Conv2d(3, 4, 3)), torch.rand(1, 3, 8, 8)
            ),
            "0",
            SCRIPTED,
        ),
        (Repeated, "conv", "run more than once for an image"),
        (Repeated, "unused", "not used by the module"),
        (uncopyable, "0", "cannot be copied"),
    ],
)
def test_modules_that_cannot_be_cut_are_said_in_one_line(module, layer, match):
    with pytest.raises(ModelError, match=match) as refused:
        FeatureExtractor(module(), [layer])
    assert "\n" not in str(refused.value)
