"""Fit and export the detectors of the comparison, and write their test pictures in the size of the frames."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from anomedge.demo.textures import PictureSet, write_pictures
from anomedge.export.bundling import ExportOptions, export
from anomedge.images import Picture, read_folder
from anomedge.pipelines.fitting import FitOptions, fit
from anomedge.pipelines.model import save
from anomedge.resample import Geometry

__all__ = ["DETECTORS", "LAYOUTS", "Network", "Prepared", "bottle", "demo"]

DETECTORS = ("padim", "patchcore")
LAYOUTS = ("nchw-rgb-255", "nchw-bgr-255")
"""Layouts of the bundles, besides `frames`."""

_PROVEN = 9
"""Pictures of the proof of an export."""


@dataclass(frozen=True)
class Network:
    """Backbone, weights and image size of the detectors."""

    backbone: str
    weights: str
    size: tuple[int, int]


@dataclass(frozen=True)
class Prepared:
    """A detector and its test pictures.

    Attributes:
        detector: its name.
        pictures: name of the data set.
        model, bundle: the files.
        frames: PNG files of the bundle's frame size; raw RGB is beside each, `*.rgb`.
    """

    detector: str
    pictures: str
    model: Path
    bundle: Path
    frames: list[Path]

    @property
    def raw_frames(self) -> list[Path]:
        """Files of raw RGB bytes, in the order of `frames`."""
        return [path.with_suffix(".rgb") for path in self.frames]


def demo(
    network: Network, detector: str, work: Path, pictures: PictureSet, most: int
) -> Prepared:
    """Prepare a detector on the pictures of `anomedge demo`."""
    folder = work / "demo" / "pictures"
    if not folder.exists():
        write_pictures(folder, pictures)
    return _prepared(network, detector, folder, pictures.frame, "demo", most)


def bottle(
    network: Network, detector: str, data: Path, work: Path, most: int
) -> Prepared:
    """Prepare a detector on MVTec AD's bottle; frames have the size of the detector's image."""
    folder = work / "bottle" / "pictures"
    for part in ("train", "test"):
        if not (folder / part).exists():
            _write_resized(data / part, folder / part, network.size)
    return _prepared(network, detector, folder, network.size, "bottle", most)


def _write_resized(source: Path, target: Path, size: tuple[int, int]) -> None:
    for picture in read_folder(source):
        path = target / Path(picture.name).with_suffix(".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture.frame(size)).save(path)


def _prepared(
    network: Network,
    detector: str,
    folder: Path,
    frame: tuple[int, int],
    pictures: str,
    most: int,
) -> Prepared:
    work = folder.parent
    model, bundle = (
        work / f"{detector}.safetensors",
        work / f"{detector}.anomedge",
    )
    if not model.exists():
        _fit(network, detector, folder, model)
    test = read_folder(folder / "test")
    if not bundle.exists():
        # All pictures are compared later, so a few are enough for the proof.
        proven = _spread(test, _PROVEN)
        options = ExportOptions(
            frame, pictures=proven, batches=[1], layout=LAYOUTS
        )
        export(model, bundle, options)
    chosen = _spread(test, most)
    frames = _write_frames(chosen, work / "frames")
    return Prepared(detector, pictures, model, bundle, frames)


def _fit(network: Network, detector: str, folder: Path, model: Path) -> None:
    held_back = folder / "held_back"
    options = FitOptions(
        Geometry(network.size),
        detector={"backbone": network.backbone, "weights": network.weights},
        held_back=held_back if held_back.exists() else None,
    )
    with warnings.catch_warnings():
        # Few pictures give advice, which is no subject here.
        warnings.simplefilter("ignore", UserWarning)
        save(fit(detector, folder / "train", options), model)


def _spread(pictures: Sequence[Picture], most: int) -> list[Picture]:
    """Return at most so many pictures, at even distances."""
    step = -(-len(pictures) // most)
    return list(pictures[::step])


def _write_frames(pictures: Sequence[Picture], folder: Path) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = []
    for number, picture in enumerate(pictures):
        pixels = picture.frame()
        path = folder / f"{number:03d}.png"
        Image.fromarray(pixels).save(path)
        path.with_suffix(".rgb").write_bytes(pixels.tobytes())
        paths.append(path)
    return paths
