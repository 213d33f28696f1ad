"""Reverse distillation of anomalib: score and map by its formulas from the tensors' names, and files that are refused."""

from functools import reduce
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from anomedge.interop.anomalib import import_native
from anomedge.interop.anomalib.reverse_distillation import (
    ImportedReverseDistillation,
)
from tests.interop.anomalib import builder, formulas
from tests.interop.anomalib.comparing import images_of
from tests.interop.anomalib.refusing import refused

SIZE = (32, 64)
LAYERS = ("layer1", "layer2", "layer3")
ENCODER = "encoder.feature_extractor."


def drawn(*shape):
    """Weights whose products have about the variance of their inputs."""
    inputs = shape[1] * shape[2] * shape[3]
    return torch.randn(shape) / inputs**0.5


def norm(name, channels):
    return {
        f"{name}.weight": 0.5 + torch.rand(channels),
        f"{name}.bias": torch.rand(channels) - 0.5,
        f"{name}.running_mean": torch.rand(channels) - 0.5,
        f"{name}.running_var": 0.5 + torch.rand(channels),
        f"{name}.num_batches_tracked": torch.tensor(3),
    }


def block(name, first, c_out, shortcut=None):
    """Tensors of a basic block; `shortcut` is the name and the weight of a projection."""
    found = {
        f"{name}.conv1.weight": first,
        f"{name}.conv2.weight": drawn(c_out, c_out, 3, 3),
        **norm(f"{name}.bn1", c_out),
        **norm(f"{name}.bn2", c_out),
    }
    if shortcut is not None:
        path, weight = shortcut
        found[f"{name}.{path}.0.weight"] = weight
        found |= norm(f"{name}.{path}.1", c_out)
    return found


def bottleneck():
    found = {}
    for place, c_in, c_out, side in (
        (1, 64, 128, 3),
        (2, 128, 256, 3),
        (3, 128, 256, 3),
        (4, 1024, 512, 1),  # anomalib stores it and does not use it
    ):
        found[f"conv{place}.weight"] = drawn(c_out, c_in, side, side)
        found |= norm(f"bn{place}", c_out)
    projection = ("downsample", drawn(512, 768, 1, 1))
    found |= block("bn_layer.0", drawn(512, 768, 3, 3), 512, projection)
    return found | block("bn_layer.1", drawn(512, 512, 3, 3), 512)


def decoder():
    found = {}
    for place, c_in, c_out in ((1, 512, 256), (2, 256, 128), (3, 128, 64)):
        doubled = drawn(c_in, c_out, 2, 2), drawn(c_in, c_out, 2, 2)
        name = f"layer{place}"
        found |= block(f"{name}.0", doubled[0], c_out, ("upsample", doubled[1]))
        found |= block(f"{name}.1", drawn(c_out, c_out, 3, 3), c_out)
    return found


@pytest.fixture(scope="module")
def state():
    encoder = builder.network(LAYERS).state_dict()
    torch.manual_seed(4)
    parts = {
        ENCODER: encoder,
        "bottleneck.": bottleneck(),
        "decoder.": decoder(),
    }
    return {
        f"{prefix}{name}": tensor
        for prefix, tensors in parts.items()
        for name, tensor in tensors.items()
    }


def content_of(state, size=SIZE, **changed):
    resize = builder.spec("Resize", size=list(size), antialias=True)
    scaling = builder.spec("Normalize", mean=builder.MEAN, std=builder.STD)
    transform = builder.spec("Compose", transforms=[resize, scaling])
    content = builder.checkpoint_27("stfpm", state, {"transform": transform})
    arguments = {"backbone": "resnet18", "layers": LAYERS}
    content["hyper_parameters"] = (
        arguments | {"anomaly_map_mode": "add"} | changed
    )
    return content


class Formula:
    """anomalib's eager model in float64, from the tensors by name."""

    def __init__(self, state):
        self.state = {name: x.double() for name, x in state.items()}

    def norm(self, x, name):
        found = [
            self.state[f"{name}.{part}"]
            for part in ("running_mean", "running_var", "weight", "bias")
        ]
        return F.batch_norm(x, *found)

    def conv(self, x, name, stride=1):
        weight = self.state[f"{name}.weight"]
        side = weight.shape[2]
        if side == 2:
            return F.conv_transpose2d(x, weight, stride=2)
        return F.conv2d(x, weight, stride=stride, padding=side // 2)

    def halved(self, x, place):
        y = self.conv(x, f"bottleneck.conv{place}", stride=2)
        return self.norm(y, f"bottleneck.bn{place}").relu()

    def block(self, x, name, stride=1):
        y = self.conv(x, f"{name}.conv1", stride)
        y = self.norm(y, f"{name}.bn1").relu()
        y = self.norm(self.conv(y, f"{name}.conv2"), f"{name}.bn2")
        for path in ("downsample", "upsample"):
            if f"{name}.{path}.0.weight" in self.state:
                x = self.conv(x, f"{name}.{path}.0", stride)
                x = self.norm(x, f"{name}.{path}.1")
        return (y + x).relu()

    def restored(self, maps):
        fine, middle, coarse = maps
        small = self.halved(self.halved(fine, 1), 2), self.halved(middle, 3)
        x = torch.cat([*small, coarse], dim=1)
        x = self.block(x, "bottleneck.bn_layer.0", stride=2)
        x = self.block(x, "bottleneck.bn_layer.1")
        found = []
        for place in (1, 2, 3):
            for number in (0, 1):
                x = self.block(x, f"decoder.layer{place}.{number}")
            found.insert(0, x)
        return found

    def anomaly_map(self, maps, mode):
        levels = []
        for x, y in zip(maps, self.restored(maps), strict=True):
            level = 1 - F.cosine_similarity(x, y)[:, None]
            levels.append(
                F.interpolate(
                    level, size=SIZE, mode="bilinear", align_corners=True
                )
            )
        combine = torch.add if mode == "add" else torch.mul
        return formulas.blurred(reduce(combine, levels))


@pytest.mark.parametrize("mode", ["add", "multiply"])
def test_score_and_map_are_those_of_anomalib(mode, state, tmp_path):
    content = content_of(state, anomaly_map_mode=mode)
    imported = import_native(builder.saved(content, tmp_path))
    assert imported.pipeline.name == "reverse_distillation"
    assert {line.source for line in imported.taken} == {"file"}
    images = images_of(SIZE)
    maps = formulas.features(
        state, LAYERS, images, builder.MEAN, builder.STD, ENCODER
    )
    with torch.no_grad():
        expected = Formula(state).anomaly_map(maps, mode)
        found = imported.pipeline(images)
    reach = expected.max() - expected.min()
    error = (found.anomaly_map - expected).abs().max()
    assert error < 1e-5 * reach
    error = (found.score - expected.amax(dim=(1, 2, 3))).abs().max()
    assert error < 1e-5 * reach


def test_a_file_needs_encoder_bottleneck_and_decoder():
    names = [f"{ENCODER}conv1.weight", "bottleneck.bn_layer.0.conv1.weight"]

    def matches(*names):
        foreign = SimpleNamespace(tensors=dict.fromkeys(names))
        return ImportedReverseDistillation.matches(foreign)

    assert matches(*names, "decoder.layer1.0.conv1.weight")
    assert not matches(*names)
    assert not matches(*names, "decoder.layer1.0.conv1.weight", "memory_bank")


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"anomaly_map_mode": "mean"}, "got anomaly_map_mode 'mean'"),
        ({"layers": LAYERS[:2]}, "expected three layers of one of: resnet18"),
        ({"layers": None}, "the layers None; expected three layers"),
        ({"backbone": "resnet26"}, "got the backbone resnet26 with"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(changed, match, tmp_path):
    few = {
        f"{ENCODER}conv1.weight": torch.zeros(1),
        "bottleneck.bn_layer.0.conv1.weight": torch.zeros(1),
        "decoder.layer1.0.conv1.weight": torch.zeros(1),
    }
    refused(content_of(few, **changed), tmp_path, match)


def test_a_size_that_the_strides_do_not_divide_is_refused(state, tmp_path):
    match = "got images of 32x48; expected both .* of 32"
    refused(content_of(state, size=(32, 48)), tmp_path, match)


def test_other_tensors_are_refused(state, tmp_path):
    changed = dict(state)
    del changed["bottleneck.conv3.weight"]
    match = "got no tensor halve.1.0.weight of the bottleneck"
    refused(content_of(changed), tmp_path, match)
