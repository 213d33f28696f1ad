"""Pictures for anomalib's `Folder`: links with unique names, and one folder with all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

SUFFIXES = {".bmp", ".jpg", ".jpeg", ".png"}
FOLDERS = {"bottle": "mvtec_ad/bottle", "cookies": "cookies"}


def staged(data: Path, name: str, work: Path, train: int) -> Path:
    """Link the pictures of a set below `work`; return the folder.

    `good`, `test-good` and `test-bad` are all pictures, `masked` those bad pictures that have a mask in `masks`, `all`
    every picture once.

    Args:
        data: folder with the sets of `FOLDERS`, each with `train/good`, `test/<kind>`, `ground_truth/<kind>`.
        name: of the set.
        work: folder to write below.
        train: normal pictures to fit to, at most.

    Raises:
        SystemExit: no pictures.
    """
    source, folder = data / FOLDERS[name], work / "pictures" / name
    if not (source / "train" / "good").is_dir():
        raise SystemExit(
            f"error: {source} has no train/good; expected a folder with "
            f"{' and '.join(FOLDERS.values())} as --data"
        )
    for path in list(pictures_of(source / "train" / "good"))[:train]:
        _link(path, folder / "good", folder / "all" / "train")
    for kind in sorted((source / "test").iterdir()):
        test = "test-good" if kind.name == "good" else "test-bad"
        for path in pictures_of(kind):
            _link(path, folder / test, folder / "all" / "test", kind.name)
            mask = source / "ground_truth" / kind.name / f"{path.stem}_mask.png"
            if mask.exists():
                # Of the same stem as the picture: anomalib pairs them by order.
                _link(path, folder / "masked", None, kind.name)
                _link(
                    mask, folder / "masks", None, kind.name, f"{path.stem}.png"
                )
    return folder


def listed(folder: Path) -> list[Path]:
    """Return all pictures of a staged set, in the order of anomalib's `Engine.predict`."""
    return sorted((folder / "all").rglob("*.*"))


def pictures_of(folder: Path) -> Iterator[Path]:
    """Yield the pictures directly in a folder, by name."""
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES:
            yield path


def _link(
    path: Path,
    folder: Path,
    every: Path | None,
    kind: str = "",
    name: str | None = None,
) -> None:
    name = f"{kind}-{name or path.name}" if kind else path.name
    for parent in (folder, every):
        if parent is None:
            continue
        parent.mkdir(parents=True, exist_ok=True)
        link = parent / name
        if not link.exists():
            link.symlink_to(path.resolve())
