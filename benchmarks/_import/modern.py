"""anomalib 2: fit, predict, raw values and exports, as its users call them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from _import.captured import Captured, Predicted
from _import.cases import arguments
from _import.weights import give_weights
from anomalib.data import Folder
from anomalib.data.utils import read_image
from anomalib.engine import Engine
from anomalib.models import Padim, Patchcore
from anomalib.post_processing import PostProcessor

CLASSES = {"padim": Padim, "patchcore": Patchcore}
BATCH = 8


def fit(asked: dict[str, Any], pictures: Path, scratch: Path) -> Path:
    """Fit to the normal pictures, set the thresholds on the test pictures; return the checkpoint."""
    given = arguments(asked)
    if crop := asked["extra"].get("crop"):
        given["pre_processor"] = Patchcore.configure_pre_processor(
            image_size=(256, 256), center_crop_size=(crop, crop)
        )
    if sensitivity := asked["extra"].get("sensitivity"):
        given["post_processor"] = PostProcessor(image_sensitivity=sensitivity)
    model = CLASSES[asked["model"]](**given, evaluator=False, visualizer=False)
    data = folder_of(asked, pictures)
    data.setup()
    give_weights(
        model.model.feature_extractor,
        asked["backbone"],
        list(_batches(model, data)),
    )
    engine = _engine(scratch)
    engine.fit(model=model, datamodule=data)
    path = scratch / "model.ckpt"
    engine.trainer.save_checkpoint(path)
    return path


def folder_of(asked: dict[str, Any], pictures: Path) -> Folder:
    """Return the pictures; with masks only the bad ones that have a mask."""
    masks = (pictures / "masks").is_dir() and asked["data"] == "cookies"
    return Folder(
        name=asked["data"],
        root=pictures,
        normal_dir="good",
        normal_test_dir="test-good",
        abnormal_dir="masked" if masks else "test-bad",
        mask_dir="masks" if masks else None,
        train_batch_size=BATCH,
        eval_batch_size=BATCH,
        num_workers=0,
        val_split_mode="same_as_test",
    )


def predicted(
    asked: dict[str, Any], checkpoint: Path, pictures: Path, scratch: Path
) -> Iterator[Predicted]:
    """Yield name, label and raw values of every picture, from `Engine.predict` on camera-size pictures."""
    model, raw = load(asked, checkpoint), Captured()
    model.model.register_forward_hook(raw)
    batches = _engine(scratch).predict(
        model=model, ckpt_path=checkpoint, data_path=pictures / "all"
    )
    for batch, given in zip(batches, raw.outputs, strict=True):
        score = given.pred_score
        if score is None:
            score = given.anomaly_map.amax(dim=(-2, -1))
        yield Predicted(
            Path(batch.image_path[0]).name,
            bool(batch.pred_label.flatten()[0]),
            float(score.flatten()[0]),
            given.anomaly_map[0].squeeze().numpy(),
        )


def exact(
    asked: dict[str, Any], checkpoint: Path, paths: Sequence[Path]
) -> Iterator[tuple[float, Any]]:
    """Yield raw score and map of the Torch model in float64, on the pixels of float32."""
    model = load(asked, checkpoint)
    transform, network = model.pre_processor.transform, model.model.double()
    for path in paths:
        image = transform(read_image(path, as_tensor=True)[None])
        with torch.no_grad():
            given = network(image.double())
        score = given.pred_score
        if score is None:
            score = given.anomaly_map.amax(dim=(-2, -1))
        yield float(score.flatten()[0]), given.anomaly_map[0].squeeze().numpy()


def export(
    asked: dict[str, Any], checkpoint: Path, kind: str, scratch: Path
) -> list[Path]:
    """Export by `Engine.export` as its documentation says; return the files."""
    engine = _engine(scratch / kind)
    engine.export(
        model=load(asked, checkpoint),
        export_type=kind,
        export_root=scratch / kind,
        ckpt_path=checkpoint,
    )
    return sorted((scratch / kind / "weights" / kind).iterdir())


def load(asked: dict[str, Any], checkpoint: Path) -> Any:
    """Load a checkpoint of this run."""
    kind = CLASSES[asked["model"]]
    model = kind.load_from_checkpoint(
        checkpoint, map_location="cpu", weights_only=False
    )
    return model.eval()


def _batches(model: Any, data: Folder) -> Iterator[torch.Tensor]:
    """Yield the transformed normal pictures."""
    for batch in data.train_dataloader():
        yield model.pre_processor.transform(batch.image)


def _engine(scratch: Path) -> Engine:
    return Engine(
        default_root_dir=scratch,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_progress_bar=False,
    )
