"""Import a checkpoint, export it, and store our raw values and labels on anomalib's pictures.

Raw values are those of the imported pipeline, eager, on frames of the camera's size; labels are of that pipeline and of
the exported bundle, under ONNX Runtime and OpenVINO.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _import.pictures import listed
from PIL import Image

from anomedge.export.eager import EagerSession
from anomedge.images import read_picture
from anomedge.inspector import Inspector
from anomedge.pipelines.model import load

RUNTIMES = ("onnxruntime", "openvino")
GOLDEN = 8


def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Return seconds, exit codes and last lines of both commands, and the path of the values."""
    torch.set_num_threads(asked["threads"])
    work, name = Path(asked["work"]), asked["name"]
    folder, pictures = work / "ours", Path(asked["pictures"])
    folder.mkdir(parents=True, exist_ok=True)
    model, bundle = folder / f"{name}.safetensors", folder / f"{name}.anomedge"
    source = asked.get("source") or str(work / "checkpoints" / f"{name}.ckpt")
    imported = command(
        "import", source, "-o", model, "--force",
        "--held-back", pictures / "test-good", *asked.get("options", ()),
    )  # fmt: skip
    if imported["code"]:
        return {"import": imported}
    paths = listed(pictures)
    reference = np.load(work / "checkpoints" / f"{name}.npz")
    values = _eager(model, paths, reference["mapped"].tolist())
    exported = _exported(
        model, "-o", bundle, "--force", "--frame", _frame(paths[0]),
        "--golden", golden_of(pictures, folder / "golden" / name),
    )  # fmt: skip
    if not exported["code"]:
        for runtime in RUNTIMES:
            values[runtime] = _labels(bundle, runtime, paths)
    np.savez(folder / f"{name}.npz", **values)
    return {"import": imported, "export": exported}


def _exported(*arguments: object) -> dict[str, Any]:
    """Export; a detector that amplifies rounding is exported again with the factor that the failed proof names."""
    done = command("export", *arguments)
    advised = re.search(r"--widen (\d+)", done["last"])
    if not done["code"] or not advised:
        return done
    again = command("export", *arguments, "--widen", advised[1])
    return again | {"widened": int(advised[1])}


def command(name: str, *arguments: object) -> dict[str, Any]:
    """Run a command of anomedge in a process of its own; return exit code, seconds and the last line of its errors."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "anomedge", name, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stderr.strip().splitlines() or [""]
    return {
        "code": done.returncode,
        "seconds": time.perf_counter() - start,
        "last": lines[-1],
        "output": done.stdout,
    }


def _eager(model: Path, paths: list[Path], mapped: list[int]) -> dict[str, Any]:
    loaded = load(model)
    session = EagerSession(loaded, model)
    scores, maps = [], []
    for number, path in enumerate(paths):
        outputs = session.run({"frames": read_picture(path)[None]})
        scores.append(float(outputs["score"][0]))
        if number in mapped:
            maps.append(outputs["anomaly_map"][0].squeeze())
    threshold = loaded.decision.threshold
    return {
        "scores": np.array(scores, np.float32),
        "maps": np.stack(maps),
        "labels": np.array(scores, np.float32) > threshold,
        "threshold": np.array(threshold),
        "scale": np.array(loaded.decision.scale),
    }


def _labels(bundle: Path, runtime: str, paths: list[Path]) -> Any:
    with Inspector.open(bundle, runtime=runtime) as inspector:
        results = [inspector.predict(path) for path in paths]
    return np.array([result.label == "anomalous" for result in results])


def _frame(path: Path) -> str:
    with Image.open(path) as picture:
        return f"{picture.height}x{picture.width}"


def golden_of(pictures: Path, folder: Path) -> Path:
    """Link a few pictures to prove on, good and bad ones."""
    for kind, count in (("good", GOLDEN // 2), ("bad", GOLDEN - GOLDEN // 2)):
        target = folder / kind
        target.mkdir(parents=True, exist_ok=True)
        found = sorted((pictures / f"test-{kind}").iterdir())
        for path in found[:: max(1, len(found) // count)][:count]:
            link = target / path.name
            if not link.exists():
                link.symlink_to(path.resolve())
    return folder
