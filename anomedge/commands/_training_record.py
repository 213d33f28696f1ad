"""The training of a model in one line: epochs, loss, and the options that change the images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["trained"]

_AUGMENTATIONS: dict[str, Any] = {
    "flip": "none",
    "rotation": 0,
    "brightness": 0,
}


def trained(record: Mapping[str, Any]) -> str:
    """Return a line on a training, given its record in the model's card.

    >>> trained({"epochs": 9, "kept": 7, "loss": 0.125, "held_out": 0.25, "device": "cpu",
    ...     "options": {"flip": "both", "rotation": 0.0, "mixed_precision": True, "penalty": "none"}})
    'epoch 7 of 9, loss 0.125, on held-out images 0.25, on cpu in mixed precision; augmentations: flip both; penalty: none'
    """
    options = record["options"]
    held_out = record["held_out"]
    beside = "" if held_out is None else f", on held-out images {held_out:.4g}"
    mixed = " in mixed precision" if options.get("mixed_precision") else ""
    changes = [
        f"{name} {options[name]}"
        for name, usual in _AUGMENTATIONS.items()
        if options.get(name, usual) != usual
    ]
    penalty = options.get("penalty")
    return (
        f"epoch {record['kept']} of {record['epochs']}, loss {record['loss']:.4g}{beside}, on {record['device']}{mixed}; "
        f"augmentations: {', '.join(changes) or 'none'}"
        + ("" if penalty is None else f"; penalty: {penalty}")
    )
