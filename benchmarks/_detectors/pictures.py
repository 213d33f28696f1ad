"""Pictures of a set, staged once for both sides: training, held back, test."""

from __future__ import annotations

import shutil
from pathlib import Path

from _import.pictures import FOLDERS, pictures_of

HELD_BACK = 5
"""Every fifth normal picture is held back: neither side fits to it, and our thresholds come from these."""

LEAST_HELD_BACK = 10
"""Synthetic defects, which our thresholds need, take at least this many; of few pictures every third or fourth is held back."""


def staged(data: Path, name: str, work: Path) -> Path:
    """Link the pictures of a set below `work`; return the folder.

    `good` is what both sides fit to, `held-back` the rest of the normal pictures, `set` the labelled test pictures with
    their masks. For anomalib's `Folder`, `test-good` and `test-bad` are the test pictures.

    Raises:
        SystemExit: no pictures.
    """
    source, folder = data / FOLDERS[name], work / "pictures" / name
    if folder.is_dir():
        return folder
    if not (source / "train" / "good").is_dir():
        raise SystemExit(
            f"error: {source} has no train/good; expected a folder with "
            f"{' and '.join(FOLDERS.values())} as --data"
        )
    partial = folder.with_name(f"{name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    normal = list(pictures_of(source / "train" / "good"))
    step = min(HELD_BACK, max(2, len(normal) // LEAST_HELD_BACK))
    for number, path in enumerate(normal):
        is_held = number % step == step - 1
        _link(path, partial / ("held-back" if is_held else "good"))
    for kind in sorted((source / "test").iterdir()):
        part = "test-good" if kind.name == "good" else "test-bad"
        for path in pictures_of(kind):
            _link(path, partial / part, f"{kind.name}-{path.name}")
    for part in ("test", "ground_truth"):
        (partial / "set").mkdir(exist_ok=True)
        (partial / "set" / part).symlink_to((source / part).resolve())
    partial.rename(folder)
    return folder


def _link(path: Path, folder: Path, name: str | None = None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / (name or path.name)).symlink_to(path.resolve())
