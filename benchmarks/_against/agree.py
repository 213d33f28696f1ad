"""Compare raw scores and maps of the timed files; errors are shares of the range of anomalib's values.

score, map   our graph against anomalib's file, both under the same runtime and at the same batch; its outputs are
             brought back to raw values with the constants it was normalised by.
map          PaDiM: map against map. PatchCore's maps are upsampled differently (bilinear here, nearest there), so its
             map is compared twice, and the larger error counts:
             - our patch distances, upsampled by nearest neighbour and blurred in float64, against its map;
             - our map against the distances of its Torch model, upsampled bilinearly and blurred in float64.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from _against.files import (
    INT8,
    Array,
    feed_of,
    graph_of,
    precision_of,
    split,
)
from _against.sessions import open_graph

from anomedge.parity.certificate import TOLERANCES
from anomedge.resample import bilinear, gaussian_blur

SIGMA, KERNEL = 4.0, 33


def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Return the errors of a detector under a runtime, for every batch size."""
    work, runtime = Path(asked["work"]), asked["runtime"]
    fitted, variant = split(asked["case"])
    folder, frames = work / fitted, np.load(work / "frames.npy")
    reference = dict(np.load(folder / "theirs.npz"))
    stages = open_graph(
        runtime, folder / f"ours.{variant}" / "stages.onnx", asked["threads"]
    )
    errors = {}
    for batch in asked["batches"]:
        outputs = {}
        for member in ("ours", "theirs"):
            call = open_graph(
                runtime,
                graph_of(member, work, asked["case"], batch, runtime),
                asked["threads"],
            )
            outputs[member] = _all(call, feed_of(member, frames), batch)
        grid = (
            _all(stages, feed_of("ours", frames), batch)["distances"]
            if "grid" in reference
            else None
        )
        errors[batch] = compared(
            outputs["ours"], _raw(outputs["theirs"], folder), grid, reference
        )
    # Its bank is that of the float backbone, so its scores are other ones; they are shown, not judged.
    judged = variant != INT8
    tolerance = TOLERANCES[precision_of(variant)].map
    return {"errors": errors, "tolerance": tolerance if judged else np.inf}


def compared(
    ours: Mapping[str, Array],
    theirs: Mapping[str, Array],
    grid: Array | None,
    reference: Mapping[str, Array],
) -> dict[str, float]:
    """Return the errors of our score and map against anomalib's graph, and of that graph against its Torch model."""
    return {
        "score": share(ours["score"], theirs["score"]),
        "map": _map_error(ours["anomaly_map"], theirs["map"], grid, reference),
        "eager": max(
            share(theirs[name], reference[name]) for name in ("score", "map")
        ),
    }


def share(ours: Array, theirs: Array) -> float:
    """Return the largest difference, as a share of the range of the second array."""
    if ours.shape != theirs.shape:
        raise ValueError(
            f"got {ours.shape} beside {theirs.shape}; expected the same"
        )
    return float(
        np.abs(ours.astype(np.float64) - theirs).max() / np.ptp(theirs)
    )


def _all(call: Any, feed: dict[str, Array], batch: int) -> dict[str, Array]:
    """Run all pictures in batches; return the outputs."""
    ((name, values),) = feed.items()
    parts = [
        {
            key: np.array(value)
            for key, value in call({name: values[i : i + batch]}).items()
        }
        for i in range(0, len(values), batch)
    ]
    return {
        key: np.concatenate([part[key] for part in parts]) for key in parts[0]
    }


def _raw(outputs: dict[str, Array], folder: Path) -> dict[str, Array]:
    """Invert the normalisation (raw - threshold) / range + 1/2."""
    numbers = json.loads((folder / "normalisation.json").read_text())
    # PaDiM's score is (B, 1).
    shown = {
        "score": outputs["pred_score"].reshape(-1),
        "map": outputs["anomaly_map"],
    }
    return {
        name: (value.astype(np.float64) - 0.5) * numbers[name]["range"]
        + numbers[name]["threshold"]
        for name, value in shown.items()
    }


def _map_error(
    ours: Array,
    theirs: Array,
    grid: Array | None,
    reference: Mapping[str, Array],
) -> float:
    if grid is None:
        return share(ours, theirs)
    side = ours.shape[-1]
    nearest = np.repeat(np.eye(grid.shape[-1]), side // grid.shape[-1], axis=0)
    by_nearest, by_bilinear = (
        _spread(grid, nearest),
        _spread(reference["grid"], bilinear(grid.shape[-1], side)),
    )
    return max(share(by_nearest, theirs), share(ours, by_bilinear))


def _spread(grid: Array, up: Array) -> Array:
    """Upsample distances on the grid by `up` along both axes and blur them to a map, in float64."""
    matrix = gaussian_blur(len(up), KERNEL, SIGMA) @ up
    return np.asarray(matrix @ grid.astype(np.float64) @ matrix.T)
