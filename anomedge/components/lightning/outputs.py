"""Outputs of the steps of an `AnomalyModule`: copies, scores and labels."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from anomedge.errors import InputError

__all__ = ["add_scores", "detached", "labelled", "shallow_copy"]


def shallow_copy(value: Any) -> Any:
    """Copy a dict, without its values; return other types unchanged."""
    return copy.copy(value) if isinstance(value, dict) else value


def detached(output: Any) -> Any:
    """Move tensors to the CPU without their gradient graph.

    A dict is changed in place; dicts, lists and tuples in it are copied.
    """
    if isinstance(output, Tensor):
        return output.detach().cpu()
    if isinstance(output, dict):
        for key, value in output.items():
            output[key] = detached(shallow_copy(value))
    elif type(output) in {list, tuple}:
        items = [detached(shallow_copy(value)) for value in output]
        return type(output)(items)
    return output


def add_scores(outputs: Any) -> None:
    """Add `pred_scores`, the maximum of each map, if only maps are given."""
    if (
        isinstance(outputs, dict)
        and "pred_scores" not in outputs
        and "anomaly_maps" in outputs
    ):
        maps = outputs["anomaly_maps"].flatten(start_dim=1)
        outputs["pred_scores"] = maps.amax(dim=1)


def labelled(
    output: Mapping[str, Any], scores: str, labels: str
) -> tuple[Tensor, Tensor]:
    """Return the scores (N,) and their labels (N,), 0 or 1, of an output.

    Args:
        output: of a step.
        scores: key of the scores or maps.
        labels: key of the labels or masks.

    Raises:
        InputError: unequal sizes, no values, other labels than 0 and 1, or
            scores that are not finite.
    """
    values = torch.as_tensor(output[scores])
    truths = torch.as_tensor(output[labels])
    if values.numel() != truths.numel() or not values.numel():
        raise InputError(
            f"got {scores} {tuple(values.shape)} with {labels} "
            f"{tuple(truths.shape)}; expected a label for each value"
        )
    if not bool(((truths == 0) | (truths == 1)).all()):
        raise InputError(
            f"got {labels} up to {truths.max().item():g}; "
            "expected 0 for normal and 1 for anomalous"
        )
    if not bool(torch.isfinite(values).all()):
        raise InputError(
            f"got {scores} that are not finite; expected numbers: "
            "check the weights and the pictures"
        )
    return values.flatten(), truths.flatten().int()
