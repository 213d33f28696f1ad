"""Pictures of a set in the size of the images, written once, so that both sides read the same values."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from PIL import Image


def reduced(pictures: Path, size: int) -> Path:
    """Write staged pictures and masks with sides of `size` pixels into a folder beside theirs; return it.

    Pictures are reduced with a triangular filter, masks to the nearest pixel.
    """
    folder = pictures.parent.with_name(f"pictures-{size}") / pictures.name
    if folder.is_dir():
        return folder
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for parent, _, names in os.walk(pictures, followlinks=True):
        source = Path(parent)
        target = partial / source.relative_to(pictures)
        target.mkdir(parents=True, exist_ok=True)
        for name in sorted(names):
            _reduce(source / name, target / name, size)
    partial.rename(folder)
    return folder


def _reduce(source: Path, target: Path, size: int) -> None:
    is_mask = "ground_truth" in target.parts
    kind = Image.Resampling.NEAREST if is_mask else Image.Resampling.BILINEAR
    with Image.open(source) as picture:
        picture.resize((size, size), kind).save(target.with_suffix(".png"))
