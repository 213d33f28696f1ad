"""One detector on one set of pictures: fit on both sides, import, figures, exports and times."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _against.files import bytes_of, floats
from _detectors import ours, theirs, timing
from _detectors.backbones import write_weights
from _detectors.cases import CASES, GRAPHS, Case

from anomedge.images import Picture

CALIBRATED = 32
"""Pictures for the statistics of random weights."""


def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Return all that the table shows of a case; steps that fail are named under `failed`."""
    # anomalib loads its own files of this run, which hold pickles.
    os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"
    os.environ["TRUST_REMOTE_CODE"] = "1"
    warnings.simplefilter("ignore")
    torch.set_num_threads(asked["threads"])
    torch.manual_seed(0)
    case = next(each for each in CASES if each.detector == asked["detector"])
    pictures = Path(asked["pictures"])
    folder = Path(asked["work"]) / f"{case.detector}-{pictures.name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    weights = folder / "weights.safetensors"
    write_weights(case.backbone, calibration(pictures, asked["size"]), weights)
    return {
        "detector": case.detector,
        "pictures": pictures.name,
        "backbone": case.backbone,
        "ours": _ours(case, pictures, weights, folder, asked),
        "theirs": _theirs(case, pictures, weights, folder, asked),
    }


def _ours(
    case: Case,
    pictures: Path,
    weights: Path,
    folder: Path,
    asked: dict[str, Any],
) -> dict[str, Any]:
    model, bundle = folder / "ours.safetensors", folder / "ours.anomedge"
    by_labels = folder / "by-labels.safetensors"
    try:
        seconds = ours.fit(case, pictures, weights, model, asked)
        ours.fit(case, pictures, weights, by_labels, asked, by_labels=True)
        return {
            "fit": seconds,
            "figures": ours.figures(model, pictures),
            "f1_of_labels": ours.figures(by_labels, pictures)["f1"],
            "export": ours.export(model, pictures, bundle, asked["size"]),
            "bytes": bytes_of(bundle / "model.onnx"),
        }
    except ours.CommandFailed as error:
        return {"failed": str(error)}


def _theirs(
    case: Case,
    pictures: Path,
    weights: Path,
    folder: Path,
    asked: dict[str, Any],
) -> dict[str, Any]:
    model, seconds = theirs.fit(case, pictures, weights, folder, asked)
    imported, bundle = (
        folder / "imported.safetensors",
        folder / "imported.anomedge",
    )
    raw = theirs.raw_values(model, pictures)
    frames = _frames(raw["paths"], asked["size"])
    found: dict[str, Any] = {"fit": seconds}
    try:
        ours.import_checkpoint(folder / "theirs.ckpt", pictures, imported)
        found["errors"] = ours.errors(case.detector, imported, raw)
        found["figures"] = ours.figures(imported, pictures)
        found["f1_of_labels"] = found["figures"]["f1"]
        ours.export(imported, pictures, bundle, asked["size"], batch="1")
    except ours.CommandFailed as error:
        return found | {"failed": str(error)}
    found["runtimes"] = {
        runtime: _timed(model, runtime, bundle, frames, folder, asked)
        for runtime in GRAPHS
    }
    return found


def _timed(
    model: Any,
    runtime: str,
    bundle: Path,
    frames: Any,
    folder: Path,
    asked: dict[str, Any],
) -> dict[str, Any]:
    """Return times and the error of anomalib's export; its failure is told in words."""
    try:
        exported = theirs.export(model, runtime, asked["size"], folder)
    except Exception as error:  # noqa: BLE001 - reported in the table
        return {"failed": f"{type(error).__name__}: {str(error)[:120]}"}
    files = {"ours": bundle / GRAPHS[runtime], "theirs": exported}
    times = timing.in_turns(
        runtime, files, frames[:1], asked["threads"], asked["rounds"]
    )
    found: dict[str, Any] = {"times": times}
    found["bytes"] = {side: bytes_of(path) for side, path in files.items()}
    if runtime == "onnxruntime":
        found["error"] = _error_of_export(
            model, exported, frames, asked["threads"]
        )
    return found


def _error_of_export(
    model: Any, exported: Path, frames: Any, threads: int
) -> float:
    """Return the largest difference of anomalib's export from its eager model, of scores normalised to [0, 1]."""
    expected = theirs.deployed_values(model, torch.from_numpy(floats(frames)))
    scores = [
        timing.outputs_of(exported, frame[None], threads)["pred_score"]
        for frame in frames
    ]
    actual = np.concatenate([score.reshape(-1) for score in scores])
    return float(np.abs(actual - expected["pred_score"].reshape(-1)).max())


def _frames(paths: Sequence[str | Path], size: int) -> Any:
    """Return pictures as uint8 (n, size, size, 3)."""
    pictures = [Picture(str(path), Path(path)) for path in paths]
    return np.stack([picture.frame((size, size)) for picture in pictures])


def calibration(pictures: Path, size: int) -> torch.Tensor:
    """Return normalised images (B, 3, size, size) of normal pictures."""
    paths = sorted((pictures / "good").iterdir())[:CALIBRATED]
    images = torch.from_numpy(floats(_frames(paths, size)))
    mean = torch.tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).reshape(3, 1, 1)
    return (images - mean) / std
