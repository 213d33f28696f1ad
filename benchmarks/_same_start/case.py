"""Detectors, sets of pictures and seeds: one step and a training of both sides from anomalib's untrained weights."""

from __future__ import annotations

import json
import os
import shutil
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from _detectors import ours as measured
from _detectors import theirs
from _detectors.backbones import write_weights
from _detectors.case import calibration
from _detectors.cases import CASES, Case
from _same_start import ours, step
from _same_start.checkpoints import content_of, imported, moved
from _same_start.pictures import reduced
from _same_start.settings import (
    BATCHES,
    MOVED,
    OWN,
    factor_of_the_loss,
    settings,
)
from _same_start.theirs import Recorder
from anomalib.data.utils import read_image
from torch import Tensor

from anomedge import pipelines
from anomedge.images import Picture
from anomedge.pipelines import FitData
from anomedge.pipelines.data import image_of
from anomedge.resample import Geometry


def main(asked: dict[str, Any]) -> int:
    """Store what the tables show of each case; return the number of cases."""
    # anomalib loads its own files of this run, which hold pickles.
    os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"
    os.environ["TRUST_REMOTE_CODE"] = "1"
    warnings.simplefilter("ignore")
    torch.set_num_threads(asked["threads"])
    for each in asked["cases"]:
        print(each["name"], file=sys.stderr, flush=True)
        record = _record(asked | each)
        Path(each["stored"]).write_text(json.dumps(record), encoding="utf-8")
    return len(asked["cases"])


def _record(asked: dict[str, Any]) -> dict[str, Any]:
    case = next(each for each in CASES if each.detector == asked["detector"])
    size = asked["size"]
    pictures = reduced(Path(asked["pictures"]), size)
    folder = Path(asked["work"]) / "same-start" / asked["name"]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        # The backbone is the same for all seeds.
        torch.manual_seed(0)
        weights = folder / "weights.safetensors"
        write_weights(case.backbone, calibration(pictures, size), weights)
        return _compared(case, pictures, weights, folder, asked)
    finally:
        shutil.rmtree(folder)


def _compared(
    case: Case,
    pictures: Path,
    weights: Path,
    folder: Path,
    asked: Mapping[str, Any],
) -> dict[str, Any]:
    batch = BATCHES[pictures.name]
    factor = factor_of_the_loss(case.detector, batch)
    torch.manual_seed(asked["seed"])
    recorder = Recorder(folder / "start.ckpt")
    model, _ = theirs.fit(
        case,
        pictures,
        weights,
        folder,
        dict(asked),
        batch,
        {
            "callbacks": [recorder],
            "precision": "64-true" if asked["double"] else "32-true",
        },
    )
    content = content_of(recorder.path)
    start = imported(content, {})
    common = ours.options_of(case, weights, batch, asked)
    options = {
        title: common | own
        for title, own in settings(
            case.detector, batch, double=asked["double"]
        ).items()
    }
    trained = {"anomalib": _theirs(pictures, folder, recorder)}
    for title, own in options.items():
        first = moved(start, asked["seed"]) if title == MOVED else start
        path = folder / "ours.safetensors"
        losses = ours.train(
            case,
            pictures,
            path,
            own,
            first,
            recorder.orders,
            asked["size"],
            recorder.scaled if asked["double"] else None,
        )
        figures = measured.figures(path, pictures)
        trained[title] = {"figures": figures, "losses": losses}
    record = {
        "detector": case.detector,
        "backbone": case.backbone,
        "pictures": pictures.name,
        "seed": asked["seed"],
        "batch": batch,
        "steps": len(recorder.losses),
        "factor": factor,
        "trained": trained,
    }
    if asked["double"]:
        return record
    names = recorder.orders[0][0]
    images = _images(pictures, names, asked["size"])
    kind = pipelines.get(case.detector)
    checked = {
        title: kind.options_class.checked(**own)
        for title, own in options.items()
        if title != MOVED
    }
    data = FitData([images], size=images.shape[2:])
    pipeline = kind.create(data, checked[OWN])
    pipeline.load_state_dict(start)
    model.load_state_dict(content["state_dict"])
    return record | {
        "images": _error_of_images(model, pipeline, images, pictures, names),
        "step": step.compared(
            model, content, pipeline, checked, images, factor
        ),
    }


def _theirs(pictures: Path, folder: Path, recorder: Recorder) -> dict[str, Any]:
    """Return figures of anomalib's trained model, by the same code as ours."""
    path = folder / "imported.safetensors"
    measured.import_checkpoint(folder / "theirs.ckpt", pictures, path)
    figures = measured.figures(path, pictures)
    return {"figures": figures, "losses": recorder.losses}


def _images(pictures: Path, names: list[str], size: int) -> Tensor:
    geometry = Geometry((size, size))
    found = [
        image_of(Picture(name, pictures / "good" / name), geometry)
        for name in names
    ]
    return torch.cat(found)


def _error_of_images(
    model: Any,
    pipeline: Any,
    images: Tensor,
    pictures: Path,
    names: list[str],
) -> float:
    """Return the largest difference of the scaled images of both sides."""
    read = [
        model.pre_processor.transform(
            read_image(pictures / "good" / name, as_tensor=True)[None]
        )
        for name in names
    ]
    difference = torch.cat(read) - pipeline.scaled(images)
    return float(difference.abs().max())
