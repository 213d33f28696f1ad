"""Find the masks of pictures in a folder `ground_truth`."""

from __future__ import annotations

from pathlib import Path, PurePath

from anomedge.images.listing import GROUND_TRUTH, scan_folder

__all__ = ["GroundTruthFolder"]


class GroundTruthFolder:
    """The masks in a folder `ground_truth`, in upper or lower case, beside or within a folder of pictures; none if there is no such folder.

    The mask of `<kind>/<stem>.<suffix>` is `<kind>/<stem>_mask.png`, else `<kind>/<stem>_mask` or `<kind>/<stem>` with any
    picture's suffix.

    Args:
        root: the folder of pictures.

    Raises:
        InputError: an entry of the folder cannot be read.
    """

    def __init__(self, root: Path) -> None:
        self._masks: dict[PurePath, list[Path]] = {}
        for place in (root.parent, root):
            folder = _ground_truth_in(place)
            if folder is not None:
                self._list(folder)
                return

    def _list(self, folder: Path) -> None:
        listing = scan_folder(folder)
        listing.require_complete()
        for path in [*listing.pictures, *listing.masks]:
            place = path.relative_to(folder).with_suffix("")
            self._masks.setdefault(place, []).append(path)

    def mask(self, inner: PurePath) -> Path | None:
        """Return the mask of a picture, by its path relative to the folder of pictures; None if it has none."""
        for stem in (f"{inner.stem}_mask", inner.stem):
            found = self._masks.get(inner.parent / stem, [])
            png = [path for path in found if path.suffix == ".png"]
            if found:
                return (png or found)[0]
        return None


def _ground_truth_in(place: Path) -> Path | None:
    """Return the folder of masks in a folder; None without one, or if the folder cannot be listed."""
    exact = place / GROUND_TRUTH
    if exact.is_dir():
        return exact
    try:
        found = sorted(place.iterdir())
    except OSError:
        return None
    same = [
        path
        for path in found
        if path.name.lower() == GROUND_TRUTH and path.is_dir()
    ]
    return same[0] if same else None
