"""One step of both sides from the same weights with the same images, in float64: loss, gradients, changes of all tensors."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from _same_start.checkpoints import imported
from torch import Tensor, nn

from anomedge.pipelines.training import TrainedPipeline

Tensors = dict[str, Tensor]

SEED = 7
"""Seed of dropout in the step of either side."""


def compared(
    module: Any,
    content: Mapping[str, Any],
    pipeline: TrainedPipeline[Any, Any],
    options: Mapping[str, Any],
    images: Tensor,
    factor: int,
) -> dict[str, Any]:
    """Return loss, gradients and changes of tensors of a step of both sides, by title of the options.

    Args:
        module: anomalib's model with the tensors of the checkpoint; it is left as it is.
        content: the checkpoint before the training.
        pipeline: the detector with the same tensors; it is left as it is.
        options: options of the detector by title.
        images: (B, 3, H, W) in [0, 1].
        factor: anomalib's loss divided by ours; ours and its gradients are compared times this number.
    """
    theirs = _their_step(module, content, pipeline, images)
    found: dict[str, Any] = {}
    for title, own in options.items():
        ours = our_step(pipeline, own, images)
        names = list(ours["gradients"])
        gradients = {
            name: factor * tensor for name, tensor in ours["gradients"].items()
        }
        moving = [
            name
            for name in ours["changes"]
            if ".running_" in name and name.startswith(pipeline.trained)
        ]
        found[title] = {
            "loss": factor * ours["loss"] / theirs["loss"],
            "gradients": worst(gradients, theirs["gradients"], names),
            "changes": worst(ours["changes"], theirs["changes"], names),
            "statistics": worst(ours["changes"], theirs["changes"], moving),
        }
    return found


def _their_step(
    module: Any,
    content: Mapping[str, Any],
    pipeline: TrainedPipeline[Any, Any],
    images: Tensor,
) -> dict[str, Any]:
    """Return the loss, and by the detector's names gradients and changes."""
    trained = copy.deepcopy(module).double().train()
    before = _copied(trained.model)
    optimiser = trained.configure_optimizers()
    scaled = copy.deepcopy(pipeline).double().scaled(images.double())
    loss = trained.loss(*trained.model(scaled))
    loss.backward()
    learning = {
        name: parameter
        for name, parameter in trained.model.named_parameters()
        if parameter.requires_grad
    }
    gradients = {
        name: torch.zeros_like(x) if x.grad is None else x.grad
        for name, x in learning.items()
    }
    optimiser.step()
    # Others, such as matrices of permutations, stay as the import needs them.
    changes = {
        name: tensor - before[name]
        for name, tensor in trained.model.state_dict().items()
        if name in learning or ".running_" in name
    }
    return {
        "loss": float(loss.detach()),
        "gradients": imported(content, gradients),
        "changes": imported(content, changes),
    }


def our_step(
    pipeline: TrainedPipeline[Any, Any], options: Any, images: Tensor
) -> dict[str, Any]:
    """Return the loss, the gradients of the trained networks, and the changes of all tensors."""
    trained = copy.deepcopy(pipeline)
    trained.requires_grad_(False).double().eval()
    for name in trained.trained:
        trained.get_submodule(name).requires_grad_(True).train()
    before = _copied(trained)
    optimiser = trained.optimiser(options)
    torch.manual_seed(SEED)
    loss = trained.loss(images.double())
    loss.backward()
    gradients = {
        name: parameter.grad.clone()
        for name, parameter in trained.named_parameters()
        if parameter.grad is not None
    }
    optimiser.step()
    changes = {
        name: tensor - before[name]
        for name, tensor in trained.state_dict().items()
    }
    return {
        "loss": float(loss.detach()),
        "gradients": gradients,
        "changes": changes,
    }


def _copied(network: nn.Module) -> Tensors:
    return {name: x.clone() for name, x in network.state_dict().items()}


def worst(ours: Tensors, theirs: Tensors, names: list[str]) -> dict[str, Any]:
    """Return the largest relative difference of a tensor, its name, and our length divided by theirs over all of them."""
    if not names:
        return {"worst": None, "name": "none", "ratio": None}
    found = {
        name: relative(ours[name].double(), theirs[name].double())
        for name in names
    }
    name = max(found, key=lambda each: found[each])
    lengths = [
        torch.stack([x[each].double().norm() for each in names]).norm()
        for x in (ours, theirs)
    ]
    ratio = float(lengths[0] / lengths[1])
    return {"worst": found[name], "name": name, "ratio": ratio}


def relative(one: Tensor, other: Tensor) -> float:
    """Return the length of the difference as a share of the second tensor's length."""
    length = float(other.norm())
    difference = float((one - other).norm())
    return difference / length if length else difference
