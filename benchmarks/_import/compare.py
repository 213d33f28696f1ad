"""Errors of raw values and differing labels, from the stored files of both sides."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

TIES = 4e-4
"""Distance from the threshold, as a share of the scale of scores, below which a picture counts as tied: twice the shift
of an imported threshold."""


def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Return the errors of our raw values, and the labels that differ from `Engine.predict` per way of deciding.

    Args:
        asked: "work", "name" of the case, "deployed": labels of anomalib's exports by kind.
    """
    work, name = Path(asked["work"]), asked["name"]
    theirs = dict(np.load(work / "checkpoints" / f"{name}.npz"))
    exact = dict(np.load(work / "checkpoints" / f"{name}.exact.npz"))
    ours = dict(np.load(work / "ours" / f"{name}.npz"))
    ties = tied(theirs["scores"], ours)
    ways = {
        way: ours[way]
        for way in ("labels", "onnxruntime", "openvino")
        if way in ours
    }
    ways |= {
        f"their {kind}": found["labels"]
        for kind, found in asked["deployed"].items()
        if "labels" in found
    }
    return errors(ours, theirs, exact) | {
        "pictures": len(ties),
        "anomalous": int(theirs["labels"].sum()),
        "tied": int(ties.sum()),
        "flips": {
            way: flips(labels, theirs["labels"], ties)
            for way, labels in ways.items()
        },
    }


def errors(
    ours: Mapping[str, Array],
    theirs: Mapping[str, Array],
    exact: Mapping[str, Array],
) -> dict[str, float]:
    """Return largest differences, as shares of anomalib's range.

    `score` and `map`: our values from anomalib's. `exact`: our values from anomalib's model in float64, the larger one
    of score and map; `own`: anomalib's float32 from its float64, which is its own rounding.
    """
    chosen = theirs["mapped"]
    found = {
        "score": share(ours["scores"], theirs["scores"]),
        "map": share(ours["maps"], theirs["maps"]),
    }
    for name, side in (("exact", ours), ("own", theirs)):
        found[name] = max(
            share(side["maps"], exact["maps"]),
            share(side["scores"][chosen], exact["scores"]),
        )
    return found


def share(ours: Array, theirs: Array) -> float:
    """Return the largest difference, as a share of the range of the second array.

    >>> share(np.array([0.0, 1.5]), np.array([0.0, 2.0]))
    0.25
    """
    if ours.shape != theirs.shape:
        raise ValueError(
            f"got {ours.shape} beside {theirs.shape}; expected the same"
        )
    difference = np.abs(ours.astype(np.float64) - theirs.astype(np.float64))
    return float(difference.max() / np.ptp(theirs.astype(np.float64)))


def flips(labels: Array, reference: Array, ties: Array) -> list[int]:
    """Count the labels that differ: of pictures apart from the threshold, and of tied ones.

    >>> one, other = np.array([True, False, True]), np.array([True, True, False])
    >>> flips(one, other, ties=np.array([False, False, True]))
    [1, 1]
    """
    differ = np.asarray(labels, bool) != np.asarray(reference, bool)
    return [int((differ & ~ties).sum()), int((differ & ties).sum())]


def tied(scores: Array, ours: Mapping[str, Array]) -> Array:
    """Return which pictures score as the threshold, within `TIES`.

    An adaptive threshold is the score of a validation picture, of a batch of eight; alone in its batch, as in
    `Engine.predict`, the same picture scores higher or lower by a rounding error, which decides its label.
    """
    distance = np.abs(scores - ours["threshold"]) / ours["scale"]
    found: Array = distance < TIES
    return found
