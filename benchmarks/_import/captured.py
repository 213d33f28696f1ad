"""Raw outputs of a Torch model while anomalib's `Engine.predict` runs it."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple


class Predicted(NamedTuple):
    """Of one picture: name, label of `Engine.predict`, raw score, raw map (H, W)."""

    name: str
    label: bool
    score: float
    map: Any


class Captured:
    """A forward hook that copies each output before the post-processor changes it."""

    def __init__(self) -> None:
        self.outputs: list[Any] = []

    def __call__(self, _module: Any, _inputs: Any, output: Any) -> None:
        """Keep a copy."""
        self.outputs.append(copy.deepcopy(output))
