"""One step of EfficientAD on both sides: the same weights, images, pictures from outside, changes of colour and dropout.

The teacher has random weights: none can be had without a download, and gradients do not depend on its quality.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from _same_start import step
from anomalib.models import EfficientAd as Theirs
from anomalib.models.image.efficient_ad.torch_model import EfficientAdModel
from lightning.pytorch.utilities.types import LRSchedulerConfig
from safetensors.torch import save_file
from torch import Tensor

from anomedge.pipelines import FitData, efficient_ad
from anomedge.pipelines.efficient_ad import EfficientAd, EfficientAdOptions

SIDE, CHANNELS, STEPS = 256, 16, 100
"""anomalib's autoencoder needs 256 pixels; few channels, as the step is in float64."""

OTHER_COLOURS = 0.9
"""Both sides multiply the changed image by this number, in place of random changes."""


def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Return loss, gradients and changes of a step, errors of the teacher's statistics, and both schedules."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(asked["threads"])
    torch.manual_seed(asked["seed"])
    images, outside = torch.rand(2, 1, 3, SIDE, SIDE)
    theirs = _theirs(images)
    ours, options = _ours(theirs, images, Path(asked["work"]))
    statistics = {
        name: step.relative(
            getattr(ours, f"teacher_{name}"), theirs.model.mean_std[name]
        )
        for name in ("mean", "std")
    }
    # The step itself has equal statistics: Adam turns tiny differences of gradients near 0 into steps.
    for name in ("mean", "std"):
        getattr(ours, f"teacher_{name}").copy_(
            theirs.model.mean_std[name].detach()
        )
    with _fixed(ours, outside):
        their_values = _their_step(theirs, images, outside)
        our_values = step.our_step(ours, options, images)
    names = list(our_values["gradients"])
    return {
        "loss": our_values["loss"] / their_values["loss"],
        "gradients": step.worst(
            our_values["gradients"], their_values["gradients"], names
        ),
        "changes": step.worst(
            our_values["changes"], their_values["changes"], names
        ),
        "teacher": statistics,
        "schedules": _schedules(theirs, ours, options),
    }


def _theirs(images: Tensor) -> Any:
    """Return anomalib's model with the teacher's statistics of the images."""
    model = Theirs(
        teacher_out_channels=CHANNELS, evaluator=False, visualizer=False
    )
    trainer = SimpleNamespace(max_epochs=-1, max_steps=STEPS)
    model.trainer = trainer
    batches = [SimpleNamespace(image=images)]
    model.model.mean_std.update(model.teacher_channel_mean_std(batches))
    return model


def _ours(
    theirs: Any, images: Tensor, work: Path
) -> tuple[EfficientAd, EfficientAdOptions]:
    """Return the detector with anomalib's weights, and its default options."""
    teacher = work / "teacher.safetensors"
    save_file(dict(theirs.model.teacher.state_dict()), teacher)
    options = EfficientAdOptions.checked(teacher=teacher)
    data = FitData([images], size=(SIDE, SIDE))
    pipeline = EfficientAd.create(data, options)
    teacher.unlink()
    pipeline.student.load_state_dict(theirs.model.student.state_dict())
    pipeline.autoencoder.load_state_dict(
        _named(dict(theirs.model.ae.state_dict()), "")
    )
    pipeline.prepare(data)
    return pipeline, options


def _named(tensors: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Return the autoencoder's tensors by the names that they have in the detector."""
    return {
        prefix
        + name.replace("enconv", "conv").replace("deconv", "conv"): tensor
        for name, tensor in tensors.items()
    }


@contextmanager
def _fixed(ours: EfficientAd, outside: Tensor) -> Iterator[None]:
    """Give both sides the same changed image and the same picture from outside."""

    def changed(image: Tensor) -> Tensor:
        return image * OTHER_COLOURS

    drawn = SimpleNamespace(drawn=lambda count: outside[:count])
    with (
        mock.patch.object(efficient_ad, "jittered", changed),
        mock.patch.object(
            EfficientAdModel, "choose_random_aug_image", staticmethod(changed)
        ),
        mock.patch.object(ours, "penalty", drawn),
    ):
        yield


def _their_step(model: Any, images: Tensor, outside: Tensor) -> dict[str, Any]:
    model.double().train()
    optimiser = model.configure_optimizers()["optimizer"]
    networks = {"student": model.model.student, "autoencoder": model.model.ae}
    before = {name: _values(network) for name, network in networks.items()}
    torch.manual_seed(step.SEED)
    loss = sum(model.model(images.double(), outside.double()))
    loss.backward()
    found: dict[str, Any] = {"loss": float(loss.detach())}
    found["gradients"], found["changes"] = {}, {}
    gradients = {
        name: {key: p.grad.clone() for key, p in network.named_parameters()}
        for name, network in networks.items()
    }
    optimiser.step()
    for name, network in networks.items():
        changes = {
            key: tensor - before[name][key]
            for key, tensor in _values(network).items()
        }
        found["gradients"] |= _named(gradients[name], f"{name}.")
        found["changes"] |= _named(changes, f"{name}.")
    return found


def _values(network: torch.nn.Module) -> dict[str, Tensor]:
    return {
        key: tensor.detach().clone()
        for key, tensor in network.state_dict().items()
    }


def _schedules(
    theirs: Any, ours: EfficientAd, options: EfficientAdOptions
) -> dict[str, Any]:
    """Return the step after which the rate falls, and by which unit it is counted."""
    given = theirs.configure_optimizers()["lr_scheduler"]
    own = ours.schedule(ours.optimiser(options), options, STEPS)
    return {
        "ours": f"after {own.step_size} of {STEPS} steps",
        "theirs": f"after {given.step_size} of {STEPS} counts, one per {LRSchedulerConfig(given).interval}",
    }
