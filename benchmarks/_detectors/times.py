"""Times of finished cases, measured again: the imported model's bundle beside anomalib's export that lies in the folder."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from _against.files import bytes_of
from _detectors import ours, timing
from _detectors.cases import GRAPHS

from anomedge.images import Picture

_THEIRS = {"onnxruntime": "model.onnx", "openvino": "model.xml"}


def renew(
    record: dict[str, Any],
    pictures: Path,
    work: Path,
    options: argparse.Namespace,
) -> None:
    """Export the imported model with a batch of 1, and replace the times of a record."""
    runtimes = record.get("theirs", {}).get("runtimes", {})
    name = f"{record['detector']}-{record['pictures']}"
    folder = work / name
    bundle = folder / "imported.anomedge"
    ours.export(
        folder / "imported.safetensors",
        pictures,
        bundle,
        options.size,
        batch="1",
    )
    path = min((pictures / "test-good").iterdir())
    side = (options.size, options.size)
    frames = Picture(path.name, path).frame(side)[None]
    for runtime, found in runtimes.items():
        theirs = folder / "exported" / "weights" / "onnx" / _THEIRS[runtime]
        files = {"ours": bundle / GRAPHS[runtime], "theirs": theirs}
        found["times"] = timing.in_turns(
            runtime, files, frames, options.threads, options.rounds
        )
        found["bytes"] = {side: bytes_of(path) for side, path in files.items()}
        for threads, measured in found["times"].items():
            print(
                name,
                runtime,
                threads,
                f"{measured['ratio']:.3f}",
                file=sys.stderr,
            )
    stored = work / "records" / f"{name}.json"
    stored.write_text(json.dumps(record), encoding="utf-8")
