"""Fit anomalib's detectors, store their state and outputs, and export them as its users do.

A detector's thresholds are set from its own scores, as its validation would set them, but so wide that nothing is
clipped: the files that are timed are then the files that are compared, raw values being one subtraction away.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _against.files import PATCHES, SIDE, floats
from _against.pictures import load
from _shared.batch_norms import calibrate
from anomalib.models import Padim, Patchcore
from safetensors.torch import save_file
from torch import Tensor, nn

from anomedge.runtimes.imports import import_openvino

LAYERS = {
    "padim": ["layer1", "layer2", "layer3"],
    "patchcore": ["layer2", "layer3"],
}
BATCH = 8
CALIBRATED = 32  # pictures for the statistics of the BatchNorms


def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Write all files of a detector below `work`."""
    # Fitting inverts thousands of small matrices: threads would wait for one another.
    torch.set_num_threads(1)
    torch.manual_seed(asked["seed"])
    data = Path(asked["data"]) if asked["data"] else None
    work = Path(asked["work"])
    train, test = load(work, data, asked["train"], asked["test"])
    np.save(work / "frames.npy", test)
    given = [torch.from_numpy(floats(frames)) for frames in (train, test)]
    warnings.simplefilter("ignore")
    if asked["detector"] == "padim":
        _padim(work / "padim", *given)
    else:
        _patchcore(work, asked["banks"], asked["batches"], *given)
    return {}


def _padim(folder: Path, train: Tensor, test: Tensor) -> None:
    lightning = Padim(
        backbone="resnet18",
        layers=LAYERS["padim"],
        pre_trained=False,
        n_features=100,
    )
    model = lightning.model
    _give_weights(lightning, train[:CALIBRATED])
    model.train()
    _in_batches(lightning, train)
    model.fit()
    model.eval()
    state = {
        "idx": model.idx,
        "mean": model.gaussian.mean,
        "inv_covariance": model.gaussian.inv_covariance,
    }
    _finish(folder, lightning, test, state, batches=["any"])


def _patchcore(
    work: Path,
    banks: list[int],
    batches: list[int],
    train: Tensor,
    test: Tensor,
) -> None:
    """Fill PatchCore: one backbone and one set of patches; a bank is a random subset."""
    lightning = Patchcore(
        backbone="wide_resnet50_2",
        layers=LAYERS["patchcore"],
        pre_trained=False,
    )
    model = lightning.model
    _give_weights(lightning, train[:CALIBRATED])
    model.train()
    _in_batches(lightning, train[: -(-max(banks) // PATCHES) + 2])
    model.eval()
    patches = _distinct(torch.cat(model.embedding_store))
    model.embedding_store.clear()
    if len(patches) < max(banks):
        raise SystemExit(
            f"error: got {len(patches)} different patches; expected {max(banks)}: give more pictures"
        )
    patches = patches[torch.randperm(len(patches))]
    for n in banks:
        model.memory_bank = patches[:n].clone()
        # Its file takes the one batch it was exported with, so it is given a file for each.
        _finish(
            work / f"patchcore-{n}",
            lightning,
            test,
            {"memory_bank": model.memory_bank},
            batches,
        )


def _distinct(rows: Tensor) -> Tensor:
    """Return the rows that differ from all rows before them."""
    first = {
        row.tobytes(): number
        for number, row in reversed(list(enumerate(rows.numpy())))
    }
    return rows[sorted(first.values())]


def _in_batches(lightning: nn.Module, x: Tensor) -> None:
    with torch.no_grad():
        for batch in torch.split(x, BATCH):
            lightning.model(lightning.pre_processor(batch))


def _give_weights(lightning: nn.Module, x: Tensor) -> None:
    """Set random weights that pass signals on; speed does not depend on weights, and nothing is downloaded."""
    batches = torch.split(lightning.pre_processor(x), BATCH)
    calibrate(lightning.model.feature_extractor.feature_extractor, batches)


def _finish(
    folder: Path,
    lightning: Any,
    test: Tensor,
    state: dict[str, Tensor],
    batches: list[Any],
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    backbone = lightning.model.feature_extractor.feature_extractor.state_dict()
    state = {
        name: tensor.detach().clone().contiguous()
        for name, tensor in state.items()
    }
    save_file(
        state | {f"backbone.{k}": v.contiguous() for k, v in backbone.items()},
        folder / "state.safetensors",
    )
    said = _reference_outputs(lightning, test)
    np.savez(folder / "theirs.npz", **said)
    (folder / "normalisation.json").write_text(
        json.dumps(_normalise(lightning.post_processor, said))
    )
    for batch in batches:
        _export(lightning, folder, batch)


def _reference_outputs(lightning: Any, test: Tensor) -> dict[str, Any]:
    """Return raw score and map of the Torch model, and PatchCore's patch distances before upsampling."""
    model, grids = lightning.model, []
    # PaDiM's generator is called with names alone, PatchCore's with the distances first.
    hook = model.anomaly_map_generator.register_forward_pre_hook(
        lambda _, inputs: grids.extend(inputs[:1])
    )
    with torch.no_grad():
        results = [model(lightning.pre_processor(x[None])) for x in test]
    hook.remove()
    said = {
        "score": torch.cat(
            [result.pred_score.reshape(1) for result in results]
        ).numpy(),
        "map": torch.cat([result.anomaly_map for result in results]).numpy(),
    }
    return said | ({"grid": torch.cat(grids).numpy()} if grids else {})


def _normalise(post: Any, said: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Set a threshold in the middle and a range of twice all values, in the buffers that validation fills."""
    numbers = {}
    for name, prefix in (("score", "image"), ("map", "pixel")):
        values = said[name]
        threshold, half = (
            float((values.min() + values.max()) / 2),
            2 * float(np.ptp(values)),
        )
        getattr(post, f"_{prefix}_threshold").fill_(threshold)
        getattr(post, f"{prefix}_min").fill_(threshold - half)
        getattr(post, f"{prefix}_max").fill_(threshold + half)
        numbers[name] = {"threshold": threshold, "range": 2 * half}
    return numbers


def _export(lightning: Any, folder: Path, batch: int | str) -> None:
    """Write anomalib's own ONNX export, for a batch size or any, and the IR of its OpenVINO export."""
    target = folder / f"theirs-{batch}"
    shapes = {} if batch == "any" else {"dynamic_shapes": ({0: batch},)}
    onnx = lightning.to_onnx(target, input_size=(SIDE, SIDE), **shapes)
    onnx = Path(onnx)
    openvino = import_openvino()
    openvino.save_model(
        openvino.convert_model(onnx),
        onnx.with_suffix(".xml"),
        compress_to_fp16=False,
    )
    for path in onnx.parent.iterdir():
        path.rename(target / path.name)
