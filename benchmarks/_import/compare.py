"""Errors of raw values and differing labels, from the stored files of both sides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

TIES = 4e-4
"""Distance from the threshold, as a share of the scale of scores, below which a picture counts as tied: twice the shift
of an imported threshold."""


def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Return the errors of our raw values and the labels that differ from anomalib's, per way of deciding."""
    work, name = Path(asked["work"]), asked["name"]
    theirs = dict(np.load(work / "checkpoints" / f"{name}.npz"))
    ours = dict(np.load(work / "ours" / f"{name}.npz"))
    return errors(ours, theirs) | {
        "pictures": len(theirs["labels"]),
        "anomalous": int(theirs["labels"].sum()),
        "tied": tied(theirs["scores"], ours),
        "flips": {
            way: flips(ours[way], theirs["labels"])
            for way in ("labels", "onnxruntime", "openvino")
            if way in ours
        },
    }


def errors(ours: dict[str, Array], theirs: dict[str, Array]) -> dict[str, float]:
    """Return the largest difference of scores and of maps, as shares of anomalib's range of each."""
    return {
        "score": share(ours["scores"], theirs["scores"]),
        "map": share(ours["maps"], theirs["maps"]),
    }


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


def flips(labels: Array, reference: Array) -> int:
    """Count the labels that differ.

    >>> flips(np.array([True, False]), np.array([True, True]))
    1
    """
    return int((np.asarray(labels, bool) != np.asarray(reference, bool)).sum())


def tied(scores: Array, ours: dict[str, Array]) -> int:
    """Count the pictures that score as the threshold, within `TIES`."""
    distance = np.abs(scores - ours["threshold"]) / ours["scale"]
    return int((distance < TIES).sum())
