"""Export a fitted detector of ours by anomalib, with the same weights and statistics; runs in an environment with anomalib.

    python theirs.py padim MODEL.safetensors FOLDER FRAME.npy

Prints the path of the ONNX file and the relative difference of the raw scores of one frame as JSON.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import anomalib.models
import numpy as np
import torch
from anomalib.pre_processing import PreProcessor
from torchvision.transforms.v2 import Compose, Normalize, Resize

from anomedge.pipelines.model import load

SIDE = 256


def padim(pipeline: Any) -> Any:
    """Return anomalib's PaDiM with the weights and statistics of ours."""
    config = pipeline.config
    lightning = _lightning("Padim", pipeline, n_features=len(config.channels))
    model = lightning.model
    model.idx = torch.tensor(config.channels)
    stored = pipeline.gaussian.state_dict()
    model.gaussian.mean = stored["mean"]
    model.gaussian.inv_covariance = pipeline.gaussian.inv_covariance
    return lightning


def patchcore(pipeline: Any) -> Any:
    """Return anomalib's PatchCore with the weights and the bank of ours."""
    lightning = _lightning("Patchcore", pipeline)
    bank = pipeline.bank
    lightning.model.memory_bank = bank.vectors + bank.centre
    return lightning


def _lightning(name: str, pipeline: Any, **given: Any) -> Any:
    extractor = pipeline.extractor
    lightning = getattr(anomalib.models, name)(
        backbone=extractor.backbone,
        layers=list(extractor.layers),
        pre_trained=False,
        pre_processor=PreProcessor(transform=_transform(pipeline)),
        **given,
    )
    theirs = lightning.model.feature_extractor.feature_extractor
    theirs.load_state_dict(extractor.feature_extractor.state_dict())
    return lightning.eval()


def _transform(pipeline: Any) -> Compose:
    """Return the preprocessing of ours: the backbone's own mean and deviation, where anomalib has ImageNet's for all."""
    mean, std = (
        values.flatten().tolist() for values in (pipeline.mean, pipeline.std)
    )
    resize = Resize((SIDE, SIDE), antialias=True)
    return Compose([resize, Normalize(mean, std)])


def difference(lightning: Any, pipeline: Any, frame: Path) -> float:
    """Return the relative difference of the raw scores of a frame."""
    images = torch.from_numpy(np.load(frame)).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        theirs = lightning.model(lightning.pre_processor(images)).pred_score
        ours = pipeline(images).score
    return abs(float(theirs.flatten()[0]) / float(ours[0]) - 1)


def main() -> None:
    """Export one detector."""
    detector, path, folder, frame = sys.argv[1:]
    warnings.simplefilter("ignore")
    pipeline = load(Path(path)).pipeline.eval()
    lightning = {"padim": padim, "patchcore": patchcore}[detector](pipeline)
    found = difference(lightning, pipeline, Path(frame))
    target = lightning.to_onnx(
        Path(folder), input_size=(SIDE, SIDE), dynamic_shapes=({0: 1},)
    )
    print(json.dumps({"path": str(target), "difference": found}))


if __name__ == "__main__":
    main()
