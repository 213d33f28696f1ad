"""anomalib's tensors under the names of anomedge's detector, by the import of a checkpoint."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anomedge.interop.anomalib.importing import import_native

_PREFIX = "model."


def content_of(path: Path) -> dict[str, Any]:
    """Return the content of a checkpoint that this run wrote."""
    content: dict[str, Any] = torch.load(path, weights_only=False)
    return content


def imported(
    content: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return the state_dict of the detector that a checkpoint with other tensors of its model is imported as.

    Args:
        content: the checkpoint.
        tensors: replacements by name in anomalib's torch model; gradients, for example.
    """
    state = dict(content["state_dict"])
    for name, tensor in tensors.items():
        old = state[_PREFIX + name]
        state[_PREFIX + name] = tensor.detach().to(old.dtype)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.ckpt"
        torch.save({**content, "state_dict": state}, path)
        return import_native(path).pipeline.state_dict()


def moved(tensors: Mapping[str, Tensor], seed: int) -> dict[str, Tensor]:
    """Return weights that differ by about 1e-7 of themselves, one or two units in the last place; statistics stay."""
    generator = torch.Generator().manual_seed(seed)
    found = dict(tensors)
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and ".running_" not in name:
            noise = torch.randn(tensor.shape, generator=generator)
            found[name] = tensor * (1 + 1e-7 * noise)
    return found
