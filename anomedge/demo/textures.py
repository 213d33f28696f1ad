"""A picture set from texture photographs: normal crops, planted defects with masks, in an MVTec AD layout.

The photographs (brick, grass, gravel, 512 x 512) ship with scikit-image. Crops of one of them, enlarged to the frame,
are normal. Three disjoint bands of it serve fitting, threshold and test, so no pixel is seen twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from anomedge.errors import InputError, RuntimeMissing
from anomedge.extras import install_advice
from anomedge.images import Frame, Mask
from anomedge.resample import bilinear, gaussian_blur

__all__ = ["DEFECTS", "TEXTURES", "Band", "PictureSet", "write_pictures"]

TEXTURES = ("brick", "grass", "gravel")
_CROP_SHARE = 0.2  # of the photograph's side: the crop's height


@dataclass(frozen=True)
class Band:
    """Rows of the photograph that are reserved for one purpose."""

    name: str
    top: int
    bottom: int


BANDS = {
    "train": Band("train", 0, 256),
    "held_back": Band("held_back", 256, 384),
    "test": Band("test", 384, 512),
}


@dataclass(frozen=True)
class PictureSet:
    """Numbers of pictures, texture and size; the same seed gives the same pixels.

    Args:
        frame: height and width.
        texture: one of `TEXTURES`; defects are blended in from the other two.
        train, held_back, good, bad: numbers of pictures; `bad` is for each kind of defect.
    """

    frame: tuple[int, int] = (480, 640)
    texture: str = "gravel"
    train: int = 40
    held_back: int = 100
    good: int = 20
    bad: int = 6
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse an unknown texture."""
        if self.texture not in TEXTURES:
            raise InputError(
                f"got texture {self.texture!r}; expected one of: {', '.join(TEXTURES)}"
            )


def write_pictures(folder: Path, pictures: PictureSet) -> None:
    """Write train/good, held_back, test/good, test/<defect> and ground_truth/<defect> below `folder`."""
    photograph = _photograph(pictures.texture)
    for index, (purpose, count) in enumerate(
        (("train", pictures.train), ("held_back", pictures.held_back))
    ):
        inner = (
            folder / "train" / "good"
            if purpose == "train"
            else folder / purpose
        )
        generator = np.random.default_rng([pictures.seed, index])
        for number in range(count):
            _save(
                inner / f"{number:03d}.png",
                _crop(photograph, BANDS[purpose], pictures.frame, generator),
            )
    generator = np.random.default_rng([pictures.seed, 2])
    for number in range(pictures.good):
        _save(
            folder / "test" / "good" / f"{number:03d}.png",
            _crop(photograph, BANDS["test"], pictures.frame, generator),
        )
    for kind, number, frame, mask in _defective(
        photograph, pictures, generator
    ):
        _save(folder / "test" / kind / f"{number:03d}.png", frame)
        _save(
            folder / "ground_truth" / kind / f"{number:03d}_mask.png",
            np.uint8(255) * mask,
        )


def _defective(
    photograph: Frame, pictures: PictureSet, generator: np.random.Generator
) -> Iterator[tuple[str, int, Frame, Mask]]:
    others = [
        _photograph(name) for name in TEXTURES if name != pictures.texture
    ]
    for kind, plant in DEFECTS.items():
        for number in range(pictures.bad):
            frame = _crop(photograph, BANDS["test"], pictures.frame, generator)
            other = _crop(
                others[number % 2],
                Band("other", 0, 512),
                pictures.frame,
                generator,
            )
            yield kind, number, *plant(frame, other, generator)


def _photograph(texture: str) -> Frame:
    try:
        import skimage.data
    except ModuleNotFoundError as error:
        raise RuntimeMissing(
            f"{error.name} is not installed here; expected it: {install_advice('demo')}"
        ) from error

    grey: Frame = getattr(skimage.data, texture)()
    return grey


def _crop(
    photograph: Frame,
    band: Band,
    frame: tuple[int, int],
    generator: np.random.Generator,
) -> Frame:
    """Return a random crop of the band in RGB, enlarged to the frame (bilinear), with random brightness."""
    height = round(photograph.shape[0] * _CROP_SHARE)
    width = min(round(height * frame[1] / frame[0]), photograph.shape[1])
    top = int(generator.integers(band.top, band.bottom - height + 1))
    left = int(generator.integers(0, photograph.shape[1] - width + 1))
    crop = photograph[
        top : top + height, left : left + width
    ] * generator.uniform(0.95, 1.05)
    enlarged = bilinear(height, frame[0]) @ crop @ bilinear(width, frame[1]).T
    grey = np.clip(enlarged.round(), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def _patch(
    frame: Frame, other: Frame, generator: np.random.Generator
) -> tuple[Frame, Mask]:
    """Blend another texture into an ellipse."""
    distance = _ellipse(frame.shape[:2], generator, 0.10, 0.18)
    share = np.clip((1.1 - distance) / 0.2, 0, 1)[..., None]
    return _mixed(frame, other.astype(np.float64), share), distance < 1


def _scratch(
    frame: Frame, _: Frame, generator: np.random.Generator
) -> tuple[Frame, Mask]:
    """Draw a thin bright line across part of the frame."""
    y, x = np.indices(frame.shape[:2]).astype(np.float64)
    side = min(frame.shape[:2])
    angle, length = (
        generator.uniform(0, np.pi),
        generator.uniform(0.5, 0.8) * side,
    )
    cy, cx = (generator.uniform(0.35, 0.65) * n for n in frame.shape[:2])
    along = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
    across = -(x - cx) * np.sin(angle) + (y - cy) * np.cos(angle)
    distance = np.hypot(np.maximum(np.abs(along) - length / 2, 0), across) / (
        0.012 * side
    )
    return _mixed(
        frame,
        np.full(frame.shape, 240.0),
        np.clip(1.5 - distance, 0, 1)[..., None],
    ), distance < 1


def _blur(
    frame: Frame, _: Frame, generator: np.random.Generator
) -> tuple[Frame, Mask]:
    """Blur a region."""
    distance = _ellipse(frame.shape[:2], generator, 0.16, 0.24)
    sigma = 0.035 * min(frame.shape[:2])
    size = 2 * int(3 * sigma) + 1
    rows, columns = (gaussian_blur(n, size, sigma) for n in frame.shape[:2])
    blurred = np.einsum(
        "ij,jkc,lk->ilc", rows, frame.astype(np.float64), columns, optimize=True
    )
    return _mixed(
        frame, blurred, np.clip((1.1 - distance) / 0.2, 0, 1)[..., None]
    ), distance < 1


def _hole(
    frame: Frame, _: Frame, generator: np.random.Generator
) -> tuple[Frame, Mask]:
    """Draw a dark hole with a soft rim."""
    distance = _ellipse(frame.shape[:2], generator, 0.06, 0.11)
    return _mixed(
        frame,
        np.full(frame.shape, 12.0),
        np.clip((1.1 - distance) / 0.2, 0, 1)[..., None],
    ), distance < 1


Plant = Callable[[Frame, Frame, np.random.Generator], tuple[Frame, Mask]]

DEFECTS: dict[str, Plant] = {
    "patch": _patch,
    "scratch": _scratch,
    "blur": _blur,
    "hole": _hole,
}
"""Functions by kind of defect: from a normal frame and a frame of another texture to the defective frame and its mask."""


def _ellipse(
    shape: tuple[int, ...],
    generator: np.random.Generator,
    least: float,
    most: float,
) -> np.ndarray:
    """Return each pixel's distance from the centre of a random ellipse, 1 on its rim; half axes are shares of the shorter side."""
    y, x = np.indices(shape[:2]).astype(np.float64)
    side = min(shape[:2])
    cy, cx = (generator.uniform(0.3, 0.7) * n for n in shape[:2])
    ry, rx = generator.uniform(least, most, 2) * side
    return np.asarray(np.hypot((y - cy) / ry, (x - cx) / rx))


def _mixed(frame: Frame, other: np.ndarray, share: np.ndarray) -> Frame:
    return np.asarray(
        np.clip(((1 - share) * frame + share * other).round(), 0, 255),
        dtype=np.uint8,
    )


def _save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, compress_level=1)
