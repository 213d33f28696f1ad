"""Inputs and outputs of a detector's networks, the submodules that may run in reduced precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from anomedge.components.module_backbones import first_line
from anomedge.errors import AnomedgeError, ModelError
from anomedge.pipelines.base import Pipeline

__all__ = ["map_tensors", "network_inputs", "network_of"]

Inputs = dict[str, tuple[Any, ...]]


def map_tensors(function: Callable[[Tensor], Tensor], value: Any) -> Any:
    """Apply a function to each tensor in a tensor, dict, list, tuple or named tuple.

    >>> map_tensors(lambda x: x + 1, {"a": torch.zeros(1), "b": 3})
    {'a': tensor([1.]), 'b': 3}
    >>> from anomedge.pipelines import Prediction
    >>> map_tensors(torch.exp, Prediction(torch.zeros(1), torch.zeros(1)))
    Prediction(score=tensor([1.]), anomaly_map=tensor([1.]))
    """
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, dict):
        return {key: map_tensors(function, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        items = [map_tensors(function, item) for item in value]
        is_named = hasattr(value, "_fields")
        return type(value)(*items) if is_named else type(value)(items)
    return value


def network_of(pipeline: Pipeline[Any, Any], tensor: str) -> str:
    """Return the name of the network that a stored tensor belongs to, empty for other tensors."""
    for name in pipeline.networks:
        if tensor.startswith(f"{name}."):
            return name
    return ""


def network_inputs(
    pipeline: Pipeline[Any, Any], batch: int, size: tuple[int, int]
) -> Inputs:
    """Return example inputs of each network: zeros of the shapes that they get for images (batch, 3, *size).

    Shapes come from a run without data, which ends when each network has been reached.

    Raises:
        ModelError: `stages` does not call one of the networks, or cannot run without data.
    """
    found: Inputs = {}
    if not pipeline.networks:
        return found
    try:
        with (
            suppress(_AllReached),
            torch.no_grad(),
            FakeTensorMode(allow_non_fake_inputs=True),
            _recorded(pipeline, found),
        ):
            pipeline.stages(torch.zeros(batch, 3, *size))
    except AnomedgeError:
        raise
    except Exception as error:
        raise ModelError(
            f"{pipeline.name} cannot be run without data ({first_line(error)}); "
            f"expected stages that do not depend on values: export without fp16"
        ) from error
    finally:
        # Networks that cache tensors must not keep any without data; see `map_sizes`.
        pipeline.eval()
    if missing := [name for name in pipeline.networks if name not in found]:
        raise ModelError(
            f"{pipeline.name} states the networks {missing}, which its stages do not use; "
            f"expected only networks that run: correct its `networks`"
        )
    return {
        name: map_tensors(_zeros_like, inputs) for name, inputs in found.items()
    }


def _zeros_like(fake: Tensor) -> Tensor:
    return torch.zeros(fake.shape, dtype=fake.dtype)


class _AllReached(Exception):
    """Ends the run after all networks were reached."""


@contextmanager
def _recorded(pipeline: Pipeline[Any, Any], found: Inputs) -> Iterator[None]:
    """Record the first inputs of each network."""

    def record(name: str, inputs: tuple[Any, ...]) -> None:
        found.setdefault(name, inputs)
        if len(found) == len(pipeline.networks):
            raise _AllReached

    handles = []
    for name in pipeline.networks:
        network = pipeline.get_submodule(name)
        handles.append(network.register_forward_pre_hook(_hook(name, record)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _hook(
    name: str, record: Callable[[str, tuple[Any, ...]], None]
) -> Callable[[nn.Module, tuple[Any, ...]], None]:
    return lambda _network, inputs: record(name, inputs)
