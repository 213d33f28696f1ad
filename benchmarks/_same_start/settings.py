"""Values of anomalib 2.7 where the defaults of a detector are the paper's, and pictures per step."""

from __future__ import annotations

from typing import Any

BATCHES = {"bottle": 8, "cookies": 7}
"""Pictures per step, which divide the normal pictures of each set."""

OWN, THEIRS = "own defaults", "anomalib's values"
MOVED = "weights moved by 1e-7"
"""As the line before, from weights that differ by 1e-7 of themselves: rounding grows as much in a training."""


def of_anomalib(detector: str, batch: int) -> dict[str, Any]:
    """Return the options of `anomedge fit` under which steps are anomalib's; none for a detector that has its defaults.

    anomalib's loss of STFPM is the sum over the batch, B times ours. With SGD, B times the learning rate and a B-th of the
    weight decay 1e-3 make the same steps.
    """
    if detector == "stfpm":
        return {"learning_rate": 0.4 * batch, "weight_decay": 1e-3 / batch}
    if detector == "reverse_distillation":
        return {"beta2": 0.99}
    return {}


def settings(
    detector: str, batch: int, *, double: bool
) -> dict[str, dict[str, Any]]:
    """Return the options that are compared, by title; in float64 those of anomalib's steps alone."""
    given = of_anomalib(detector, batch)
    if double:
        return {THEIRS if given else OWN: given}
    return {OWN: {}} | ({THEIRS: given} if given else {}) | {MOVED: given}


def factor_of_the_loss(detector: str, batch: int) -> int:
    """Return anomalib's loss divided by ours."""
    return batch if detector == "stfpm" else 1
