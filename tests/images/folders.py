"""Folders of small pictures, and folders that cannot be listed."""

import os
from pathlib import Path

import numpy as np
from PIL import Image

PIXELS = np.zeros((6, 9, 3), np.uint8)


def put(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(PIXELS).save(root / name, format="PNG")
    return root


def refusing(folder: Path, error: OSError):
    """`os.scandir` that cannot list one folder."""
    plain = os.scandir

    def scandir(path):
        if Path(path) == folder:
            raise error
        return plain(path)

    return scandir


def labels(pictures) -> dict[str, bool | None]:
    return {picture.name: picture.anomalous for picture in pictures}


def gradient(shape=(6, 9)):
    return np.arange(shape[0] * shape[1] * 3, dtype=np.uint8).reshape(*shape, 3)
