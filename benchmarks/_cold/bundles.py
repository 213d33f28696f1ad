"""Make what is opened: pictures, a model of each detector, its bundle by each checkout, and anomalib's export."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _cold.processes import run, run_to_json

from anomedge.bundle import read_manifest
from anomedge.demo.textures import PictureSet, write_pictures
from anomedge.images import read_picture

__all__ = [
    "DETECTORS",
    "Made",
    "black_frame",
    "checkout_of",
    "export_by",
    "exported_by_anomalib",
    "make",
]

PROJECT = Path(__file__).resolve().parent.parent.parent
FRAME = (256, 256)
SIZE = "256x256"
DETECTORS = {
    "padim": ("--backbone", "resnet18", "--features", "100"),
    "patchcore": ("--backbone", "tf_efficientnet_lite0"),
}
"""Options of each fit; weights are random, because the times do not depend on them and nothing is downloaded."""


class Made(NamedTuple):
    """A picture, and the same picture as an array."""

    picture: Path
    frame: Path


def checkout_of(commit: str, folder: Path) -> Path:
    """Return a folder with the package of a commit."""
    target = folder / f"checkout-{commit}"
    if not target.is_dir():
        archive = folder / "checkout.tar"
        command = ["git", "-C", str(PROJECT), "archive", "-o", str(archive)]
        subprocess.run([*command, commit, "anomedge"], check=True)
        with tarfile.open(archive) as file:
            file.extractall(target, filter="data")
        archive.unlink()
    return target


def make(folder: Path) -> Made:
    """Write pictures and the model of each detector; existing files are kept."""
    pictures = folder / "pictures"
    if not pictures.is_dir():
        write_pictures(
            pictures,
            PictureSet(frame=FRAME, train=12, held_back=6, good=3, bad=1),
        )
    for detector, options in DETECTORS.items():
        model = folder / f"{detector}.safetensors"
        if not model.is_file():
            given = ["fit", detector, str(pictures / "train"), "-o", str(model)]
            given += ["--size", SIZE, "--weights", "random", *options]
            held_back = str(pictures / "held_back")
            _anomedge(PROJECT, folder, *given, "--held-back", held_back)
    picture = min((pictures / "test" / "good").iterdir())
    np.save(folder / "frame.npy", read_picture(picture))
    return Made(picture, folder / "frame.npy")


def export_by(checkout: Path, name: str, folder: Path) -> dict[str, Path]:
    """Return the bundle of each detector, written by the package of a checkout; existing bundles are kept."""
    bundles = {}
    for detector in DETECTORS:
        bundle = folder / name / f"{detector}.anomedge"
        bundles[detector] = bundle
        if not bundle.is_dir():
            bundle.parent.mkdir(exist_ok=True)
            given = ["export", str(folder / f"{detector}.safetensors")]
            given += ["-o", str(bundle), "--frame", SIZE, "--batch", "1"]
            _anomedge(checkout, folder, *given)
    return bundles


def black_frame(bundle: Path, folder: Path) -> tuple[str, Path]:
    """Return detector and frame size of a bundle as a name, and the file of a black frame of that size."""
    manifest = read_manifest(bundle)
    height, width = manifest.input.frame
    path = folder / f"black-{height}x{width}.npy"
    np.save(path, np.zeros((height, width, 3), np.uint8))
    return f"{manifest.detector} {height}x{width}", path


def exported_by_anomalib(
    python: Path, folder: Path, frame: Path
) -> dict[str, dict[str, Any]]:
    """Return path and score difference of anomalib's export of each model."""
    script = Path(__file__).with_name("theirs.py")
    found = {}
    for detector in DETECTORS:
        model = folder / f"{detector}.safetensors"
        target = folder / "theirs" / detector
        target.mkdir(parents=True, exist_ok=True)
        command = [str(python), str(script), detector]
        command += [str(model), str(target), str(frame)]
        found[detector] = run_to_json(command, PROJECT, folder / "output.txt")
    return found


def _anomedge(checkout: Path, folder: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "anomedge", *arguments]
    run(command, checkout, folder / "output.txt")
