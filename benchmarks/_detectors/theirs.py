"""anomalib's side: fit with `Engine`, raw values of its eager model, and its own export."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import anomalib.models
import numpy as np
import torch
from _detectors.backbones import pretrained_by
from _detectors.cases import Case
from anomalib.data import Folder
from anomalib.data.utils import read_image
from anomalib.engine import Engine
from torch import Tensor

from anomedge.runtimes.imports import import_openvino

BATCH = 8
COMPARED = 16
"""Pictures whose raw values are compared."""


def fit(
    case: Case,
    pictures: Path,
    weights: Path,
    folder: Path,
    asked: dict[str, Any],
    batch: int = BATCH,
    trainer: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[Any, float]:
    """Fit to the normal pictures with thresholds of the test pictures; return the model and the seconds of the fit."""
    kind = getattr(anomalib.models, case.model)
    side = (asked["size"], asked["size"])
    with pretrained_by(weights):
        model = kind(
            **case.arguments(),
            pre_processor=kind.configure_pre_processor(image_size=side),
            evaluator=False,
            visualizer=False,
        )
        epochs = asked["epochs"] if case.trained else 1
        engine = _engine(folder, epochs, trainer)
        start = time.perf_counter()
        engine.fit(model=model, datamodule=_folder_of(pictures, batch))
        seconds = time.perf_counter() - start
    engine.trainer.save_checkpoint(folder / "theirs.ckpt")
    return model.eval(), seconds


def raw_values(model: Any, pictures: Path) -> dict[str, Any]:
    """Return names, raw scores (n,) and raw maps (n, H, W) of test pictures spread evenly, in float32."""
    paths = sorted((pictures / "test-good").iterdir())
    paths += sorted((pictures / "test-bad").iterdir())
    chosen = np.linspace(0, len(paths) - 1, COMPARED).astype(int)
    found = [_raw(model, paths[place]) for place in sorted(set(chosen))]
    scores, maps = zip(*found, strict=True)
    has_map = maps[0] is not None
    return {
        "paths": [str(paths[place]) for place in sorted(set(chosen))],
        "scores": np.array(scores),
        "maps": np.stack(maps) if has_map else None,
    }


def _raw(model: Any, path: Path) -> tuple[float, Any]:
    image = model.pre_processor.transform(
        read_image(path, as_tensor=True)[None]
    )
    with torch.no_grad():
        given = model.model(image)
    maps = given.anomaly_map
    score = given.pred_score
    if score is None:
        score = maps.amax(dim=(-2, -1))
    return float(score.flatten()[0]), None if maps is None else maps[
        0
    ].squeeze().numpy()


def export(model: Any, runtime: str, size: int, folder: Path) -> Path:
    """Export for batch 1 by anomalib's `to_onnx`, and convert for OpenVINO without compression; return the file."""
    target = folder / "exported"
    # Some of its models are traced for a batch of 2 and refuse all others, unless the batch is stated.
    path = Path(
        model.to_onnx(target, input_size=(size, size), dynamic_shapes=({0: 1},))
    )
    if runtime == "onnxruntime":
        return path
    openvino = import_openvino()
    converted = path.with_suffix(".xml")
    openvino.save_model(
        openvino.convert_model(path), converted, compress_to_fp16=False
    )
    return converted


def deployed_values(model: Any, images: Tensor) -> dict[str, Any]:
    """Return what anomalib's export is to return for images (B, 3, H, W) in [0, 1]: normalised score and map."""
    with torch.no_grad():
        given = copy.deepcopy(model)(images)
    maps = given.anomaly_map
    return {
        "pred_score": given.pred_score.numpy(),
        "anomaly_map": None if maps is None else maps.numpy(),
    }


def _folder_of(pictures: Path, batch: int) -> Folder:
    return Folder(
        name=pictures.name,
        root=pictures,
        normal_dir="good",
        normal_test_dir="test-good",
        abnormal_dir="test-bad",
        train_batch_size=batch,
        eval_batch_size=BATCH,
        num_workers=0,
        val_split_mode="same_as_test",
    )


def _engine(folder: Path, epochs: int, trainer: Mapping[str, Any]) -> Engine:
    return Engine(
        **trainer,
        default_root_dir=folder / "engine",
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_progress_bar=False,
        max_epochs=epochs,
        # Thresholds need one validation, after the last epoch.
        check_val_every_n_epoch=epochs,
        num_sanity_val_steps=0,
    )
