"""anomalib 1.2: fit, predict, raw values and exports, as its users call them."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

# imgaug, which anomalib 1 imports, reads a table that numpy 2 has no more.
np.sctypes = {  # noqa: NPY201
    "float": [np.float16, np.float32, np.float64],
    "int": [np.int8, np.int16, np.int32, np.int64],
    "uint": [np.uint8, np.uint16, np.uint32, np.uint64],
}

from _import.captured import Captured, Predicted  # noqa: E402
from _import.cases import arguments  # noqa: E402
from _import.weights import give_weights  # noqa: E402
from anomalib.data import Folder  # noqa: E402
from anomalib.data.transforms import ExportableCenterCrop  # noqa: E402
from anomalib.data.utils import read_image  # noqa: E402
from anomalib.engine import Engine  # noqa: E402
from anomalib.models import Padim, Patchcore  # noqa: E402
from anomalib.utils.visualization import ImageVisualizer  # noqa: E402

# torchvision calls this method without an underscore now.
ExportableCenterCrop.transform = ExportableCenterCrop._transform
# It was written for torch's exporter of its time, which was the default then.
torch.onnx.export = functools.partial(torch.onnx.export, dynamo=False)
# Its pictures of results need a method that matplotlib has no more; labels do not depend on them.
ImageVisualizer.generate = lambda *_, **__: iter(())

CLASSES = {"padim": Padim, "patchcore": Patchcore}
BATCH = 8


def fit(asked: dict[str, Any], pictures: Path, scratch: Path) -> Path:
    """Fit to the normal pictures, set the thresholds on the test pictures; return the checkpoint."""
    model = CLASSES[asked["model"]](**arguments(asked))
    give_weights(model.model.feature_extractor, asked["backbone"], [])
    engine = _engine(asked, pictures, scratch)
    engine.fit(model=model, datamodule=folder_of(asked, pictures))
    path = scratch / "model.ckpt"
    engine.trainer.save_checkpoint(path)
    return path


def folder_of(asked: dict[str, Any], pictures: Path) -> Folder:
    """Return the pictures; with masks only the bad ones that have a mask."""
    masks = _has_masks(asked, pictures)
    return Folder(
        name=asked["data"],
        root=pictures,
        normal_dir="good",
        normal_test_dir="test-good",
        abnormal_dir="masked" if masks else "test-bad",
        mask_dir="masks" if masks else None,
        task=_task(asked, pictures),
        train_batch_size=BATCH,
        eval_batch_size=BATCH,
        num_workers=0,
        val_split_mode="same_as_test",
    )


def predicted(
    asked: dict[str, Any], checkpoint: Path, pictures: Path, scratch: Path
) -> Iterator[Predicted]:
    """Yield name, label and raw values of every picture, from `Engine.predict` on camera-size pictures."""
    model = CLASSES[asked["model"]](**arguments(asked))
    raw = Captured()
    model.model.register_forward_hook(raw)
    batches = _engine(asked, pictures, scratch).predict(
        model=model, ckpt_path=checkpoint, data_path=pictures / "all"
    )
    for batch, given in zip(batches, raw.outputs, strict=True):
        if isinstance(given, torch.Tensor):
            score, heat = given.max(), given
        else:
            score, heat = given["pred_score"], given["anomaly_map"]
        yield Predicted(
            Path(batch["image_path"][0]).name,
            bool(batch["pred_labels"].flatten()[0]),
            float(score.flatten()[0]),
            heat[0].squeeze().numpy(),
        )


def exact(
    asked: dict[str, Any], checkpoint: Path, paths: Sequence[Path]
) -> Iterator[tuple[float, Any]]:
    """Yield raw score and map of the Torch model in float64, on the pixels of float32."""
    model = load(asked, checkpoint)
    transform = model.transform or model.configure_transforms()
    network = model.model.double()
    for path in paths:
        image = transform(read_image(path, as_tensor=True))[None]
        with torch.no_grad():
            given = network(image.double())
        if isinstance(given, torch.Tensor):
            yield float(given.max()), given[0].squeeze().numpy()
        else:
            heat = given["anomaly_map"][0].squeeze().numpy()
            yield float(given["pred_score"].flatten()[0]), heat


def export(
    asked: dict[str, Any], checkpoint: Path, kind: str, scratch: Path
) -> list[Path]:
    """Export by `Engine.export` as its documentation says; return the files."""
    engine = Engine(default_root_dir=scratch / kind, accelerator="cpu")
    engine.export(
        model=load(asked, checkpoint),
        export_type=kind,
        export_root=scratch / kind,
        ckpt_path=str(checkpoint),
    )
    return sorted((scratch / kind / "weights" / kind).iterdir())


def load(asked: dict[str, Any], checkpoint: Path) -> Any:
    """Load a checkpoint of this run."""
    kind = CLASSES[asked["model"]]
    model = kind.load_from_checkpoint(
        checkpoint, map_location="cpu", weights_only=False
    )
    return model.eval()


def _has_masks(asked: dict[str, Any], pictures: Path) -> bool:
    return (pictures / "masks").is_dir() and asked["data"] == "cookies"


def _task(asked: dict[str, Any], pictures: Path) -> str:
    masks = _has_masks(asked, pictures)
    return "segmentation" if masks else "classification"


def _engine(asked: dict[str, Any], pictures: Path, scratch: Path) -> Engine:
    return Engine(
        task=_task(asked, pictures),
        default_root_dir=scratch,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_progress_bar=False,
    )
