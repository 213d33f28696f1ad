"""Labels of anomalib's own exports, run as its users run them: camera-size pictures into the exported file.

openvino  the IR through `OpenVINOInferencer` of the same version
onnx      2.x: ONNX Runtime on `read_image(path)` as floats in [0, 1]; 1.2 needs its metadata file, so its inferencer
          opens the ONNX file (under OpenVINO)

A file whose batch size was frozen at 2 gets the picture twice.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _import.pictures import listed
from _import.theirs import first_line, prepare

Label = Callable[[Path], bool]


def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Return labels by kind with a note on how the file had to be run, or the reason of a failure."""
    prepare(asked["threads"])
    folder = Path(asked["work"]) / "checkpoints" / asked["name"]
    paths = listed(Path(asked["pictures"]))
    found: dict[str, Any] = {}
    for kind, suffix in (("onnx", ".onnx"), ("openvino", ".xml")):
        path = folder / f"model{suffix}"
        if not path.is_file():
            continue
        try:
            label, note = _opened(asked, path, kind)
            labels = [label(one) for one in paths]
            found[kind] = {"labels": labels, "note": note}
        except Exception as error:  # noqa: BLE001 - reported in the table
            found[kind] = {
                "failed": f"{type(error).__name__}: {first_line(error)}"
            }
    return found


def _opened(asked: dict[str, Any], path: Path, kind: str) -> tuple[Label, str]:
    if asked["version"].startswith("1."):
        return _older(path), ""
    return _by_onnxruntime(path) if kind == "onnx" else _by_inferencer(path)


def _by_onnxruntime(path: Path) -> tuple[Label, str]:
    import onnxruntime
    from anomalib.data.utils import read_image

    session = onnxruntime.InferenceSession(
        path, providers=["CPUExecutionProvider"]
    )
    given = session.get_inputs()[0]
    size, note = given.shape[2:], ""
    batch = given.shape[0] if isinstance(given.shape[0], int) else 1
    if batch > 1:
        note = f"frozen at batch {batch}"

    def label(picture: Path) -> bool:
        image = _sized(read_image(picture, as_tensor=False), size)
        floats = image.transpose(2, 0, 1)[None].astype(np.float32)
        fed = {given.name: np.repeat(floats, batch, axis=0)}
        return bool(np.ravel(session.run(["pred_label"], fed)[0])[0])

    return label, note


def _by_inferencer(path: Path) -> tuple[Label, str]:
    from anomalib.data.utils import read_image
    from anomalib.deploy import OpenVINOInferencer

    inferencer = OpenVINOInferencer(path=path, device="CPU")
    shape = inferencer.input_blob.partial_shape
    batch = shape[0].get_length() if shape[0].is_static else 1
    if batch == 1:
        return lambda picture: _first(inferencer.predict(picture)), ""

    def label(picture: Path) -> bool:
        image = read_image(picture, as_tensor=False)
        return _first(inferencer.predict(np.stack([image] * batch)))

    return label, f"frozen at batch {batch}"


def _first(prediction: Any) -> bool:
    return bool(np.ravel(prediction.pred_label)[0])


def _older(path: Path) -> Label:
    from _import import older  # noqa: F401 - makes imgaug import
    from anomalib.deploy import OpenVINOInferencer

    inferencer = OpenVINOInferencer(
        path=path, metadata=path.with_name("metadata.json"), device="CPU"
    )
    return lambda picture: bool(int(inferencer.predict(picture).pred_label))


def _sized(image: Any, size: list[Any]) -> Any:
    """Resize as anomalib's older inferencer does, where the file takes one size alone."""
    if not all(isinstance(side, int) for side in size):
        return image
    import cv2

    return cv2.resize(image, (size[1], size[0]))
