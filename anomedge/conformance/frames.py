"""Frames that a client is examined with: golden frames, hard frames, and frames of a wrong size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from anomedge.bundle import Bundle
from anomedge.images import Frame
from anomedge.parity.golden import read_golden

__all__ = [
    "Case",
    "golden_cases",
    "hard_frames",
    "unusual_files",
    "write_frame",
    "wrong_sizes",
]


class Case(NamedTuple):
    """A frame with the expected score and map."""

    name: str
    frame: Frame
    score: float
    anomaly_map: npt.NDArray[np.float32] | None


def golden_cases(bundle: Bundle, most: int) -> list[Case]:
    """Return up to `most` golden frames, evenly spread, with the outputs of eager Torch."""
    reference = read_golden(bundle)
    count = len(reference.pictures)
    places = np.unique(np.linspace(0, count - 1, min(most, count)).round())
    cases = []
    for place in places.astype(int):
        picture, maps = (
            reference.pictures[place],
            reference.outputs.anomaly_map,
        )
        cases.append(
            Case(
                picture.name,
                np.asarray(picture.frame(), dtype=np.uint8),
                float(reference.outputs.score[place]),
                None if maps is None else np.asarray(maps[place, 0]),
            )
        )
    return cases


def hard_frames(size: tuple[int, int]) -> dict[str, Frame]:
    """Return frames of the size (H, W): black, white, noise, and a gradient that differs in every channel and along both axes."""
    generator = np.random.default_rng(0)
    shape = (*size, 3)
    rows = np.linspace(0, 255, size[0])[:, None]
    columns = np.linspace(255, 32, size[1])[None, :]
    gradient = np.zeros(shape, np.uint8)
    gradient[..., 0] = rows.round()
    gradient[..., 1] = columns.round()
    gradient[..., 2] = ((rows * columns) / 1020).round()
    return {
        "black": np.zeros(shape, np.uint8),
        "white": np.full(shape, 255, np.uint8),
        "noise": generator.integers(0, 256, shape, np.uint8),
        "colour gradient": gradient,
    }


def wrong_sizes(size: tuple[int, int]) -> dict[str, Frame]:
    """Return frames that a bundle of this frame size must refuse."""
    height, width = size
    sizes = {
        "half the size": (max(1, height // 2), max(1, width // 2)),
        "one column more": (height, width + 1),
        "a single row": (1, height * width),
    }
    if height != width:
        sizes["height and width exchanged"] = (width, height)
    gradient = hard_frames(size)["colour gradient"]
    return {
        name: np.resize(gradient, (*found, 3)) for name, found in sizes.items()
    }


def unusual_files(
    frame: Frame,
) -> Sequence[tuple[str, Image.Image, Frame]]:
    """Return PNG files of other modes, each with its name and the RGB frame that it must be decoded to."""
    height, width, _ = frame.shape
    alpha = np.linspace(0, 255, height * width).reshape(height, width, 1)
    with_alpha = np.concatenate([frame, alpha.astype(np.uint8)], axis=2)
    grey = np.ascontiguousarray(frame[..., 1])
    palette = Image.fromarray(frame).quantize(64)
    return [
        (
            "a PNG with an alpha channel, which is dropped",
            Image.fromarray(with_alpha),
            frame,
        ),
        (
            "a grey PNG, which is repeated to three channels",
            Image.fromarray(grey),
            np.repeat(grey[..., None], 3, axis=2),
        ),
        (
            "a PNG with a palette, which is looked up",
            palette,
            np.asarray(palette.convert("RGB")),
        ),
    ]


def write_frame(folder: Path, name: str, frame: Frame, raw: bool) -> Path:
    """Write a frame as PNG or as raw RGB bytes; return its path."""
    stem = "".join(c if c.isalnum() else "-" for c in name)[-60:]
    path = folder / f"{stem}{'.rgb' if raw else '.png'}"
    if raw:
        path.write_bytes(frame.tobytes())
    else:
        Image.fromarray(frame).save(path)
    return path
