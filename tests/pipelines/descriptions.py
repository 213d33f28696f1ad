"""EfficientAD with few channels, and its networks, maps and score by torch's functions on the stored tensors."""

import math

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from anomedge.components.patch_description import PatchDescriptionNetwork
from anomedge.pipelines.efficient_ad import EfficientAd, EfficientAdConfig

SIZE = (64, 72)
CHANNELS = 5
QUICK = {"epochs": 1, "train_batch": 2, "device": "cpu"}


def teacher_file(folder, channels=CHANNELS, model_size="small", seed=0):
    """The file of a teacher with random weights."""
    torch.manual_seed(seed)
    path = folder / f"teacher-{model_size}-{channels}.safetensors"
    network = PatchDescriptionNetwork(channels, model_size)
    save_file(network.state_dict(), path)
    return path


def images_of(count=3, size=SIZE, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, *size, generator=generator)


def made(size=SIZE, **fields):
    """A detector with random networks and statistics."""
    torch.manual_seed(0)
    config = EfficientAdConfig(**{"size": size, "channels": CHANNELS, **fields})
    pipeline = EfficientAd(config, **EfficientAd.build_networks(config)).eval()
    column = pipeline.teacher_mean.shape
    pipeline.teacher_mean = torch.randn(column) / 10
    pipeline.teacher_std = 0.1 + torch.rand(column)
    pipeline.quantiles = torch.tensor([[0.1, 0.9], [0.3, 0.7]])
    return pipeline


def pdn(state, images, padding=False):
    """Descriptions by the weights of a network."""
    border = 1 if padding else 0
    count = len(state) // 2
    x = images
    for number in range(1, count + 1):
        weight = state[f"conv{number}.weight"]
        kernel = weight.shape[-1]
        around = {4: 3, 3: 1, 1: 0}[kernel] if number < 4 or kernel == 3 else 0
        x = F.conv2d(
            x, weight, state[f"conv{number}.bias"], padding=around * border
        )
        if number < count:
            x = x.relu()
        if number < 3:
            x = F.avg_pool2d(x, 2, padding=border)
    return x


def autoencoder(state, images, padding=False):
    """The autoencoder's output by its weights; the upsampling is torch's own."""
    height, width = images.shape[2:]
    lost = 0 if padding else 8
    x = images
    for number in range(1, 7):
        name = f"encoder.conv{number}"
        stride, around = (2, 1) if number < 6 else (1, 0)
        x = F.conv2d(
            x, state[f"{name}.weight"], state[f"{name}.bias"], stride, around
        )
        x = x.relu() if number < 6 else x
    grids = [
        (height // step - less, width // step - less)
        for step, less in (
            (64, 1),
            (32, 0),
            (16, 1),
            (8, 0),
            (4, 1),
            (2, 1),
        )
    ]
    grids.append((math.ceil(height / 4) - lost, math.ceil(width / 4) - lost))
    for number, grid in enumerate(grids, start=1):
        grid = tuple(max(1, side) for side in grid)
        x = F.interpolate(x, size=grid, mode="bilinear")
        name = f"decoder.conv{number}"
        around = 2 if number < 7 else 1
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        x = F.conv2d(x, weight, bias, padding=around).relu()
    weight, bias = (
        state[f"decoder.conv8.{kind}"] for kind in ("weight", "bias")
    )
    return F.conv2d(x, weight, bias, padding=1)


def part(state, name):
    """The tensors of a network, in float64."""
    return {
        key.removeprefix(f"{name}."): tensor.double()
        for key, tensor in state.items()
        if key.startswith(f"{name}.")
    }


def scaled(images):
    mean, std = (
        torch.tensor(values, dtype=torch.float64).reshape(3, 1, 1)
        for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    return (images.double() - mean) / std


def outputs(state, images, padding=False):
    """Normalised teacher, both halves of the student, and the autoencoder, of images in [0, 1]."""
    x = scaled(images)
    teacher = pdn(part(state, "teacher"), x, padding)
    teacher = (teacher - state["teacher_mean"]) / state["teacher_std"]
    student = pdn(part(state, "student"), x, padding)
    half = student.shape[1] // 2
    described = autoencoder(part(state, "autoencoder"), x, padding)
    return teacher, student[:, :half], student[:, half:], described


def raw_maps(state, images, padding=False, pad_maps=True):
    """Both maps before their normalisation, (B, 1, H, W) each."""
    teacher, first, second, described = outputs(state, images, padding)
    found = []
    for offset in (teacher - first, described - second):
        distance = offset.square().mean(dim=1, keepdim=True)
        if pad_maps:
            distance = F.pad(distance, (4, 4, 4, 4))
        size = images.shape[2:]
        found.append(F.interpolate(distance, size=size, mode="bilinear"))
    return found


def prediction(state, images, padding=False, pad_maps=True):
    """Score (B,) and map (B, 1, H, W)."""
    anomaly_map = 0
    maps = raw_maps(state, images, padding, pad_maps)
    for (low, high), each in zip(
        state["quantiles"].double(), maps, strict=True
    ):
        anomaly_map = anomaly_map + 0.05 * (each - low) / (high - low)
    return anomaly_map.amax(dim=(1, 2, 3)), anomaly_map
