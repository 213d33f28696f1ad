"""Labels and scores of anomalib's own exports, run as its users run them: camera-size pictures into the exported file.

openvino  the IR through `OpenVINOInferencer` of the same version
onnx      2.x: ONNX Runtime on `read_image(path)` as floats in [0, 1]; 1.2 needs its metadata file, so its inferencer
          opens the ONNX file (under OpenVINO)

A file whose batch size was frozen at 2 gets the picture twice. Scores are normalised, in [0, 1]: its files give no others.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _import.pictures import listed
from _import.theirs import first_line, prepare

Answer = Callable[[Path], tuple[bool, float]]
"""Label and normalised score of a picture."""


def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Return labels by kind, the largest shift of a score and a note on how the file had to be run, or a failure."""
    prepare(asked["threads"])
    folder = Path(asked["work"]) / "checkpoints" / asked["name"]
    paths = listed(Path(asked["pictures"]))
    expected = _normalised(folder)
    found: dict[str, Any] = {}
    for kind, suffix in (("onnx", ".onnx"), ("openvino", ".xml")):
        path = folder / f"model{suffix}"
        if not path.is_file():
            continue
        try:
            answer, note = _opened(asked, path, kind)
            labels, scores = zip(*map(answer, paths), strict=True)
        except Exception as error:  # noqa: BLE001 - reported in the table
            reason = f"{type(error).__name__}: {first_line(error)}"
            found[kind] = {"failed": reason}
            continue
        shift = float(np.abs(np.array(scores) - expected).max())
        found[kind] = {"labels": labels, "shift": shift, "note": note}
    return found


def _normalised(folder: Path) -> Any:
    """Return the scores of `Engine.predict`, normalised as anomalib does: the threshold is 0.5, min to max is 1."""
    content = torch.load(f"{folder}.ckpt", map_location="cpu")
    state = content["state_dict"]
    old = "image_threshold.value" in state
    prefix = (
        "normalization_metrics.pred_scores." if old else "post_processor.image_"
    )
    threshold = state[
        "image_threshold.value" if old else "post_processor._image_threshold"
    ]
    low, high = state[f"{prefix}min"], state[f"{prefix}max"]
    scores = np.load(f"{folder}.npz")["scores"]
    scaled = (scores - float(threshold)) / float(high - low) + 0.5
    return np.clip(scaled, 0.0, 1.0)


def _opened(asked: dict[str, Any], path: Path, kind: str) -> tuple[Answer, str]:
    if asked["version"].startswith("1."):
        return _older(path), ""
    return _by_onnxruntime(path) if kind == "onnx" else _by_inferencer(path)


def _by_onnxruntime(path: Path) -> tuple[Answer, str]:
    import onnxruntime
    from anomalib.data.utils import read_image

    session = onnxruntime.InferenceSession(
        path, providers=["CPUExecutionProvider"]
    )
    given = session.get_inputs()[0]
    batch = given.shape[0] if isinstance(given.shape[0], int) else 1

    def answer(picture: Path) -> tuple[bool, float]:
        image = read_image(picture, as_tensor=False)
        floats = image.transpose(2, 0, 1)[None].astype(np.float32)
        fed = {given.name: np.repeat(floats, batch, axis=0)}
        label, score = session.run(["pred_label", "pred_score"], fed)
        return bool(np.ravel(label)[0]), float(np.ravel(score)[0])

    return answer, _note(batch)


def _by_inferencer(path: Path) -> tuple[Answer, str]:
    from anomalib.data.utils import read_image
    from anomalib.deploy import OpenVINOInferencer

    inferencer = OpenVINOInferencer(path=path, device="CPU")
    shape = inferencer.input_blob.partial_shape
    batch = shape[0].get_length() if shape[0].is_static else 1

    def answer(picture: Path) -> tuple[bool, float]:
        given: Any = picture
        if batch > 1:
            given = np.stack([read_image(picture, as_tensor=False)] * batch)
        found = inferencer.predict(given)
        return (
            bool(np.ravel(found.pred_label)[0]),
            float(np.ravel(found.pred_score)[0]),
        )

    return answer, _note(batch)


def _older(path: Path) -> Answer:
    from _import import older  # noqa: F401 - makes imgaug import
    from anomalib.deploy import OpenVINOInferencer

    inferencer = OpenVINOInferencer(
        path=path, metadata=path.with_name("metadata.json"), device="CPU"
    )

    def answer(picture: Path) -> tuple[bool, float]:
        found = inferencer.predict(picture)
        return bool(int(found.pred_label)), float(found.pred_score)

    return answer


def _note(batch: int) -> str:
    return f"frozen at batch {batch}" if batch > 1 else ""
