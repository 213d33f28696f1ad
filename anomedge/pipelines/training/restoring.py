"""Tensors and numbers of networks, optimiser, schedule and random generators, to store them and to restore them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from anomedge.errors import ModelError

__all__ = [
    "changing_tensors",
    "load_optimiser",
    "load_tensors",
    "optimiser_content",
    "random_states",
    "refuse_other_tensors",
    "restore_random",
    "with_prefix",
    "without_prefix",
]

_CPU, _CUDA = "cpu", "cuda"


def changing_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Return the tensors that a training changes: parameters with gradients, and all stored buffers."""
    frozen = {
        name
        for name, parameter in network.named_parameters()
        if not parameter.requires_grad
    }
    return {
        name: tensor
        for name, tensor in network.state_dict().items()
        if name not in frozen
    }


def load_tensors(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy tensors into those of the same names.

    Raises:
        ModelError: other names, shapes or types.
    """
    expected = changing_tensors(network)
    refuse_other_tensors(tensors, expected)
    for name, tensor in expected.items():
        tensor.detach().copy_(tensors[name])


def refuse_other_tensors(
    found: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> None:
    """Compare names, shapes and types.

    Raises:
        ModelError: they differ.
    """
    if wrong := sorted(found.keys() ^ expected.keys()):
        raise ModelError(
            f"the stored tensors are others, {wrong[0]} first of {len(wrong)}"
        )
    for name, tensor in expected.items():
        _refuse_other_form(name, found[name], tensor)


def optimiser_content(
    optimiser: Optimizer, schedule: LRScheduler | None
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the numbers of an optimiser and its schedule, and its tensors by `<parameter>.<name>`."""
    state = optimiser.state_dict()
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, Any] = {}
    for place, values in state["state"].items():
        for name, value in values.items():
            is_tensor = isinstance(value, Tensor)
            (tensors if is_tensor else numbers)[f"{place}.{name}"] = value
    plain = {"numbers": numbers, "groups": state["param_groups"]}
    if schedule is not None:
        plain["schedule"] = schedule.state_dict()
    return plain, tensors


def load_optimiser(
    optimiser: Optimizer,
    schedule: LRScheduler | None,
    plain: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
) -> None:
    """Restore an optimiser and its schedule.

    Raises:
        ModelError: the state of another optimiser or schedule.
    """
    expected = optimiser.state_dict()["param_groups"]
    groups: Any = plain.get("groups")
    if _form_of(groups) != _form_of(expected) or any(
        found["params"] != group["params"]
        for found, group in zip(groups, expected, strict=True)
    ):
        raise ModelError("the stored optimiser is another one")
    parameters = [each for g in optimiser.param_groups for each in g["params"]]
    state: dict[int, dict[str, Any]] = {}
    for key, value in {**plain.get("numbers", {}), **tensors}.items():
        place, _, name = key.partition(".")
        if not place.isdecimal() or int(place) >= len(parameters):
            raise ModelError(f"the stored optimiser has a value {key!r}")
        if isinstance(value, Tensor) and value.ndim:
            _refuse_other_form(key, value, parameters[int(place)])
        state.setdefault(int(place), {})[name] = value
    optimiser.load_state_dict({"state": state, "param_groups": groups})
    _load_schedule(schedule, plain.get("schedule"))


def random_states(device: torch.device) -> dict[str, Tensor]:
    """Return the states of torch's generators of the processor and of a GPU that is used."""
    states = {_CPU: torch.get_rng_state()}
    if device.type == "cuda":
        states[_CUDA] = torch.cuda.get_rng_state(device)
    return states


def restore_random(states: Mapping[str, Tensor], device: torch.device) -> None:
    """Set the states of torch's generators.

    Raises:
        ModelError: states of other generators.
    """
    expected = random_states(device)
    refuse_other_tensors(states, expected)
    try:
        torch.set_rng_state(states[_CPU])
        if device.type == "cuda":
            torch.cuda.set_rng_state(states[_CUDA], device)
    except RuntimeError as error:
        raise ModelError("the stored random generator is none") from error


def with_prefix(
    prefix: str, tensors: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return the tensors with a prefix of their names."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def without_prefix(
    prefix: str, tensors: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return the tensors of a prefix, without it."""
    start = f"{prefix}."
    return {
        name.removeprefix(start): tensor
        for name, tensor in tensors.items()
        if name.startswith(start)
    }


def _load_schedule(schedule: LRScheduler | None, stored: Any) -> None:
    expected = None if schedule is None else schedule.state_dict()
    if _form_of(stored) != _form_of(expected):
        raise ModelError("the stored schedule is another one")
    if schedule is not None:
        schedule.load_state_dict(stored)


def _form_of(value: Any) -> Any:
    """Return the names and types of nested values; an int and a float are one type."""
    if isinstance(value, Mapping):
        return {str(name): _form_of(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_form_of(each) for each in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "number"
    return type(value).__name__


def _refuse_other_form(name: str, found: Tensor, expected: Tensor) -> None:
    if found.shape != expected.shape or found.dtype != expected.dtype:
        raise ModelError(
            f"the stored {name} is {tuple(found.shape)} of {found.dtype}, not {tuple(expected.shape)} of {expected.dtype}"
        )
