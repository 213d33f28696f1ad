"""Inspect frames with a bundle under ONNX Runtime, without anomedge.

Usage: python onnxruntime_client.py BUNDLE FRAME...
Needs onnxruntime, numpy and Pillow. Exit code 2: refused.
"""

import hashlib
import json
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

# Read by the import of onnxruntime.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime

Manifest = dict[str, Any]
EIGHT_BITS = ("1", "L", "LA", "P", "RGB", "RGBA")


class Refused(Exception):
    """A bundle or a frame that must not be inspected."""


def checked_manifest(bundle: Path) -> Manifest:
    """Return the manifest after a check of its digest.

    The digest is the SHA-256 of the text without the line of the digest.
    """
    text = (bundle / "manifest.json").read_bytes()
    manifest = json.loads(text)
    line = f'\n  "digest": "{manifest["digest"]}",'.encode()
    rest = text.replace(line, b"", 1)
    if hashlib.sha256(rest).hexdigest() != manifest["digest"]:
        raise Refused("manifest.json was changed: copy the bundle again")
    if "resize" in manifest["input"] or "levels" in manifest["image"]:
        raise Refused("expected a fixed frame size and 8 bits per channel")
    return manifest


def opened_graph(
    bundle: Path, manifest: Manifest
) -> onnxruntime.InferenceSession:
    """Open the float32 graph after a check of its files' hashes."""
    name = manifest["variants"]["fp32"]["onnx"]
    # A graph of 2 GB or more has its weights in a second file.
    for used in (name, f"{name}.data"):
        if used != name and used not in manifest["files"]:
            continue
        content = (bundle / used).read_bytes()
        expected = manifest["files"][used]["sha256"]
        if hashlib.sha256(content).hexdigest() != expected:
            raise Refused(f"{used} was changed: copy the bundle again")
    return onnxruntime.InferenceSession(
        bundle / name, providers=["CPUExecutionProvider"]
    )


def threshold_in_force(bundle: Path, manifest: Manifest) -> float:
    """Return the threshold of the export, or that of this device."""
    threshold = manifest["decision"]["threshold"]
    local = bundle / "local.json"
    if local.exists():
        settings = json.loads(local.read_bytes())
        if settings["bundle"] == manifest["digest"]:
            threshold = settings.get("threshold", threshold)
        else:
            print("local.json is of another bundle: ignored", file=sys.stderr)
    # Python's JSON reads NaN, and no score is above NaN.
    if not math.isfinite(threshold):
        raise Refused(f"got the threshold {threshold}; expected a number")
    return float(threshold)


def read_frame(path: str, contract: dict[str, Any]) -> npt.NDArray[np.uint8]:
    """Return a frame, uint8 (H, W, 3), RGB."""
    with Image.open(path) as file:
        picture = ImageOps.exif_transpose(file)
    expected = (contract["width"], contract["height"])
    if picture.size != expected or picture.mode not in EIGHT_BITS:
        raise Refused(
            f"got {path} of {picture.size}, {picture.mode}; "
            f"expected {expected} with 8 bits per channel"
        )
    return np.asarray(picture.convert("RGB"))


def inspect(bundle: Path, paths: Sequence[str]) -> None:
    """Print one line of JSON per frame."""
    manifest = checked_manifest(bundle)
    threshold = threshold_in_force(bundle, manifest)
    graph = opened_graph(bundle, manifest)
    contract = manifest["input"]
    count = 1 if contract["batch"] == "dynamic" else contract["batch"]
    for path in paths:
        frame = read_frame(path, contract)
        frames = np.repeat(frame[None], count, axis=0)
        # float64: NumPy 2 compares a float32 score in float32.
        score = float(graph.run(["score"], {"frames": frames})[0][0])
        if not math.isfinite(score):
            raise Refused(f"got the score {score} of {path}")
        label = "anomalous" if score > threshold else "normal"
        found = {"frame": path, "score": score, "label": label}
        print(json.dumps(found))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    try:
        inspect(Path(sys.argv[1]), sys.argv[2:])
    except (Refused, OSError, ValueError, LookupError, TypeError) as error:
        print(f"refused: {error!r}", file=sys.stderr)
        sys.exit(2)
