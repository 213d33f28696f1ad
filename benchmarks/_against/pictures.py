"""Pictures for both detectors, at the model's image size, so that neither resizes."""

from pathlib import Path

import numpy as np
from _against.files import SIDE, Array
from PIL import Image

from anomedge.demo.textures import PictureSet, write_pictures

SUFFIXES = {".bmp", ".jpg", ".jpeg", ".png"}


def load(
    work: Path, data: Path | None, train: int, test: int
) -> tuple[Array, Array]:
    """Return the arrays to fit and to compare, uint8 (n, 256, 256, 3) each; the demo's textures unless `data` is given.

    `data` contains `train` and `test`; mirrored pictures are added if there are too few to fit.
    """
    folder = work / "pictures" if data is None else data
    if data is None and not folder.exists():
        write_pictures(
            folder,
            PictureSet(
                frame=(SIDE, SIDE),
                train=train,
                held_back=0,
                good=test // 2,
                bad=1,
            ),
        )
    return _mirrored(_frames(folder / "train", train), train), _frames(
        folder / "test", test
    )


def _frames(folder: Path, count: int) -> Array:
    """Return `count` pictures, spread evenly over a folder."""
    paths = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES
    )
    if not paths:
        raise SystemExit(
            f"error: {folder} holds no picture; expected some: give a folder with train and test as --data"
        )
    chosen = [
        paths[i]
        for i in np.unique(
            np.linspace(0, len(paths) - 1, min(count, len(paths))).astype(int)
        )
    ]
    return np.stack([_frame(path) for path in chosen])


def _frame(path: Path) -> Array:
    with Image.open(path) as picture:
        return np.asarray(
            picture.convert("RGB").resize(
                (SIDE, SIDE), Image.Resampling.BILINEAR
            ),
            dtype=np.uint8,
        )


def _mirrored(frames: Array, count: int) -> Array:
    views = [frames, frames[:, :, ::-1], frames[:, ::-1], frames[:, ::-1, ::-1]]
    enough = -(-count // len(frames))
    return np.ascontiguousarray(np.concatenate(views[:enough])[:count])
