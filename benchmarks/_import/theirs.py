"""Fit a detector with the anomalib of this process; store its checkpoint, and its raw values and labels per picture.

`NAME.npz` has, in the order of `pictures.listed`: `labels` (n,) of `Engine.predict`; `scores` (n,), raw, of the Torch
model that it ran on the antialiased transform; `mapped` (m,), numbers of some pictures, and `maps` (m, H, W) of those.
Exports are in the folder `NAME`.
"""

from __future__ import annotations

import importlib
import os
import shutil
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from _import.pictures import listed

MAPS = 12

Array = npt.NDArray[Any]


def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Fit, predict and export as asked; return the seconds of the fit and the reasons of failed exports."""
    prepare(asked["threads"])
    start = time.perf_counter()
    family = family_of(asked["version"])
    work = Path(asked["work"])
    out, scratch = work / "checkpoints", work / "scratch" / asked["name"]
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / f"{asked['name']}.ckpt"
    pictures = Path(asked["pictures"])
    try:
        shutil.copyfile(family.fit(asked, pictures, scratch), checkpoint)
        shutil.rmtree(scratch)
        np.savez(
            out / f"{asked['name']}.npz",
            **_values(family, asked, checkpoint, pictures, scratch),
        )
        failed = _exports(family, asked, checkpoint, scratch, out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return {"failed": failed, "seconds": time.perf_counter() - start}


def prepare(threads: int) -> None:
    """Set threads and seed; let anomalib load the files of this run, which hold pickles."""
    os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"
    os.environ["TRUST_REMOTE_CODE"] = "1"
    warnings.simplefilter("ignore")
    torch.set_num_threads(threads)
    torch.manual_seed(0)


def family_of(version: str) -> Any:
    """Return the module that speaks to this version."""
    name = "older" if version.startswith("1.") else "modern"
    return importlib.import_module(f"_import.{name}")


def _values(
    family: Any,
    asked: dict[str, Any],
    checkpoint: Path,
    pictures: Path,
    scratch: Path,
) -> dict[str, Array]:
    paths = listed(pictures)
    found = list(family.predicted(asked, checkpoint, pictures, scratch))
    if [one.name for one in found] != [path.name for path in paths]:
        raise ValueError("Engine.predict gave other pictures than listed")
    chosen = mapped(len(paths))
    return {
        "names": np.array([one.name for one in found]),
        "scores": np.array([one.score for one in found], np.float32),
        "maps": np.stack([found[n].map for n in chosen]).astype(np.float32),
        "mapped": np.array(chosen),
        "labels": np.array([one.label for one in found]),
    }


def mapped(count: int) -> list[int]:
    """Return the numbers of the pictures that keep their maps, spread evenly.

    >>> mapped(5)
    [0, 1, 2, 3, 4]
    """
    spread = np.linspace(0, count - 1, min(MAPS, count)).astype(int)
    return sorted(set(spread.tolist()))


def _exports(
    family: Any,
    asked: dict[str, Any],
    checkpoint: Path,
    scratch: Path,
    out: Path,
) -> dict[str, str]:
    """Export as anomalib's users do; return the reason of each failure by kind."""
    failed = {}
    for kind in asked["exports"]:
        try:
            made = family.export(asked, checkpoint, kind, scratch)
        except Exception as error:  # noqa: BLE001 - reported in the table
            failed[kind] = f"{type(error).__name__}: {first_line(error)}"
            continue
        folder = out / asked["name"]
        folder.mkdir(exist_ok=True)
        for path in made:
            # External data are found by their name.
            shutil.copyfile(path, folder / path.name)
    return failed


def first_line(error: BaseException) -> str:
    """Return the first line of a message, shortened."""
    lines = str(error).strip().splitlines() or [""]
    return lines[0][:160]
