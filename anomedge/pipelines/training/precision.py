"""Networks in mixed precision during a training: bfloat16 inside, float32 outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from anomedge.pipelines.base import Pipeline
from anomedge.pipelines.networks import map_tensors

__all__ = ["mixed_precision"]


@contextmanager
def mixed_precision(
    pipeline: Pipeline[Any, Any], device: torch.device
) -> Iterator[None]:
    """Run the networks in bfloat16 within the block; losses and weights stay in float32.

    bfloat16 has the range of float32, so gradients need no scaling.
    """
    networks: list[nn.Module] = [
        pipeline.get_submodule(name) for name in pipeline.networks
    ]
    for network in networks:
        network.forward = _mixed(network.forward, device.type)
    try:
        yield
    finally:
        for network in networks:
            del network.forward


def _mixed(forward: Callable[..., Any], device: str) -> Callable[..., Any]:
    def mixed(*inputs: Any) -> Any:
        with torch.autocast(device, torch.bfloat16):
            outputs = forward(*inputs)
        return map_tensors(_as_float32, outputs)

    return mixed


def _as_float32(values: Tensor) -> Tensor:
    return values.float() if values.is_floating_point() else values
