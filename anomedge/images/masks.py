"""Read masks, and find the masks that lie beside pictures or in a folder of masks.

A mask is recognised by its name and its content; both are required.

By name: `<stem>_label`, `<stem>_mask` or `<stem>_gt` beside the picture `<stem>`, any name in a folder `masks`, `labels` or
the like, or the stem of a picture with another suffix. Such a folder holds the mask of a picture at the path that the
picture has in the folder beside it.

By content: at most 8 colours, or grey with 98 % of the pixels close to one of two levels. Of files that differ in the
suffix only, exactly one must be no mask. Any other file whose name says that it is the mask of a picture is unclear: it
must not be taken for a picture.

Masks of 16 bits are read as well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from anomedge.errors import InputError
from anomedge.images.checks import bits_per_channel
from anomedge.images.reading import Frame, Mask, decoded, open_picture
from anomedge.names import indented
from anomedge.progress import track
from anomedge.resample.levels import MOST_LEVELS, Levels

__all__ = [
    "MaskContent",
    "Pairs",
    "check_mask_depth",
    "examine",
    "find_pairs",
    "mask_of",
    "read_mask",
]

MASK_SUFFIXES = ("_label", "_mask", "_gt")
"""Ends of the stems of masks that lie beside their picture."""
MASK_FOLDERS = frozenset(
    {
        "annotation", "annotations", "ground_truth", "groundtruth", "gt", "label", "labels", "mask", "masks",
    }
)  # fmt: skip
"""Names of folders of masks, in lower case with underscores; in a folder `ground_truth` in lower case, any file is a mask."""
_LOSSY = frozenset({".jpeg", ".jpg", ".webp"})
_MOST_COLOURS = 8
"""A mask may number the kinds of defects."""
_NEAR, _LEAST_SPREAD, _LEAST_SHARE = 8, 128, 0.98
"""Grey levels that compression or smoothing adds to two levels, their smallest distance, and the share of pixels."""
_BITS, _MOST_BITS = 8, 16
_SAMPLE = 12
"""Pairs of one folder that are examined; without a mask among them, the others are not read."""


@dataclass(frozen=True)
class MaskContent:
    """The content of a file that may be a mask.

    Attributes:
        two_level: it has the grey levels of a mask.
        marked: it has them, and marks at least one pixel as anomalous.
    """

    two_level: bool
    marked: bool


Examine = Callable[[Path], MaskContent | None]
"""`examine`, or a version of it that remembers its results."""


@dataclass(frozen=True)
class Pairs:
    """Masks that lie beside pictures.

    Attributes:
        of: the mask of each picture that has one.
        masks: all masks found, also second ones of a picture.
        marked: the masks that mark at least one pixel as anomalous.
        unclear: files that are named as the mask of a picture and have no content of a mask, and that picture.
    """

    of: dict[Path, Path] = field(default_factory=dict)
    masks: set[Path] = field(default_factory=set)
    marked: set[Path] = field(default_factory=set)
    unclear: dict[Path, Path] = field(default_factory=dict)

    def add(
        self, mask: Path, content: MaskContent, owners: Iterable[Path]
    ) -> None:
        """Add a mask of pictures; a picture keeps its first mask."""
        self.masks.add(mask)
        if content.marked:
            self.marked.add(mask)
        for owner in owners:
            self.of.setdefault(owner, mask)

    def faults(self) -> list[str]:
        """Return a line for each unclear file."""
        return [
            f"{path}: its name is that of a mask of {owner.name}, but it has more than two grey levels, or cannot be read; "
            f"expected a mask of two levels, or another name if it is a picture"
            for path, owner in sorted(self.unclear.items())
        ]

    def require_clear(self, root: Path) -> None:
        """Refuse unclear files.

        Raises:
            InputError: there are some; the message lists them.
        """
        if self.unclear:
            raise InputError(
                f"{root}: got {len(self.unclear)} files that are neither masks nor pictures; expected either: save masks "
                f"with two levels, and rename pictures:{indented(self.faults())}"
            )


def read_mask(path: Path) -> Mask:
    """Return the anomalous pixels (H, W) of a mask of 8 or 16 bits a channel, as `mask_of`.

    Raises:
        InputError: as `anomedge.images.read_picture`, or more than 16 bits a channel.
    """
    return mask_of(_read_levels(path), path)


def check_mask_depth(image: Image.Image, path: Path, file: BinaryIO) -> int:
    """Return the bits per channel of an opened mask; it is not decoded.

    Raises:
        InputError: more than 16 bits, or colour of more than 8.
    """
    bits = bits_per_channel(image, file)
    grey = image.mode == "I" or image.mode.startswith("I;16")
    if bits > _MOST_BITS or (bits > _BITS and not grey):
        raise InputError(
            f"{path}: got a mask of {bits} bits a channel; expected 8, or grey of 16: convert it"
        )
    return bits


def mask_of(frame: Frame, path: Path) -> Mask:
    """Return the anomalous pixels (H, W) of a mask that was read as a frame.

    Pixels above level 127 are anomalous. A mask without such a level numbers kinds of defects, so that every level but 0
    is anomalous; lossy formats are excepted, because their black is not exactly 0.
    """
    # Faster than the maximum over an axis of three.
    levels = np.maximum(np.maximum(frame[..., 0], frame[..., 1]), frame[..., 2])
    numbered = path.suffix.lower() not in _LOSSY and levels.max() <= 127
    return np.asarray(levels > (0 if numbered else 127))


def examine(path: Path) -> MaskContent | None:
    """Examine a file that may be a mask; None if it cannot be read as a picture."""
    try:
        frame = _read_levels(path)
    except InputError:
        return None
    two_level = _has_few_levels(frame)
    marked = two_level and bool(mask_of(frame, path).any())
    return MaskContent(two_level, marked)


def _read_levels(path: Path) -> Frame:
    """Read a file that may be a mask; of 16 bits, upper levels become 0 to 255, and lower ones alone are kept."""
    with open_picture(path) as (image, file):
        if check_mask_depth(image, path, file) <= _BITS:
            return decoded(image, path, file)
        frame = decoded(image, path, file, Levels(0, MOST_LEVELS))
        if not frame.any():
            # Small levels number the kinds of defects.
            frame = decoded(image, path, file, Levels(0, 255))
        return frame


def find_pairs(pictures: Sequence[Path], root: Path) -> Pairs:
    """Find the masks among the files below a folder, and the pictures that they belong to.

    Args:
        pictures: plain files below `root` with a picture's suffix.
        root: the folder.
    """
    pairs = Pairs()
    # A file may be a candidate by its name, in a sample and in a group of one stem.
    decode_once = cache(examine)
    _pair_by_name(pictures, root, pairs, decode_once)
    rest = [path for path in pictures if path not in pairs.masks]
    groups = _candidates(_grouped_by_stem(rest), decode_once)
    for group in track(groups, "examining masks", total=len(groups)):
        _pair_by_content(group, pairs, decode_once)
    return pairs


def _pair_by_name(
    pictures: Sequence[Path], root: Path, pairs: Pairs, examine: Examine
) -> None:
    """Add the masks whose own name or folder says that they are masks."""
    named = _named_as_masks(pictures, root)
    for path in track(named, "examining masks", total=len(named)):
        owners, content = named[path], examine(path)
        if content is not None and content.two_level:
            pairs.add(path, content, owners)
        elif owners:
            pairs.unclear[path] = owners[0]
    for path in pairs.masks:
        pairs.of.pop(path, None)


def _named_as_masks(
    pictures: Sequence[Path], root: Path
) -> dict[Path, list[Path]]:
    """Return the files with a name of a mask or in a folder of masks, and the pictures that each may belong to."""
    places = _by_place(pictures, root)
    named = {}
    for path in pictures:
        inner = path.relative_to(root)
        owners = [
            other
            for place in _places_of_picture(inner)
            for other in places[place]
            if other != path
        ]
        if owners or _in_mask_folder(inner):
            named[path] = owners
    return named


def _in_mask_folder(inner: Path) -> bool:
    return any(_is_mask_folder(name) for name in inner.parts[:-1])


def _is_mask_folder(name: str) -> bool:
    return name.lower().replace(" ", "_").replace("-", "_") in MASK_FOLDERS


def _by_place(
    pictures: Iterable[Path], root: Path
) -> defaultdict[Path, list[Path]]:
    """Return files by their relative path without suffix, also without each one of its folders."""
    places: defaultdict[Path, list[Path]] = defaultdict(list)
    for path in pictures:
        inner = path.relative_to(root).with_suffix("")
        places[inner].append(path)
        for count in range(len(inner.parts) - 1):
            # "*" stands for any folder in this place.
            parts = [*inner.parts[:count], "*", *inner.parts[count + 1 :]]
            places[Path(*parts)].append(path)
    return places


def _places_of_picture(inner: Path) -> list[Path]:
    """Return where the picture of a mask may lie, by the mask's name and folder; none for other names."""
    stems = [inner.stem]
    for suffix in MASK_SUFFIXES:
        if inner.stem.lower().endswith(suffix):
            stems.insert(0, inner.stem[: -len(suffix)])
    found = [inner.parent / stem for stem in stems[:-1] if stem]
    folders = inner.parent.parts
    for count, folder in enumerate(folders):
        if _is_mask_folder(folder):
            before, after = folders[:count], folders[count + 1 :]
            for stem in stems:
                found.append(Path(*before, "*", *after, stem))
                found.append(Path(*before, *after, stem))
    return found


def _grouped_by_stem(pictures: Iterable[Path]) -> list[list[Path]]:
    """Return the groups of several files with one folder and stem."""
    groups: defaultdict[Path, list[Path]] = defaultdict(list)
    for path in pictures:
        groups[path.with_suffix("")].append(path)
    return [sorted(group) for group in groups.values() if len(group) > 1]


def _candidates(
    groups: Sequence[list[Path]], examine: Examine
) -> list[list[Path]]:
    """Leave out the groups of folders in which a sample of the groups has no mask."""
    folders: defaultdict[Path, list[list[Path]]] = defaultdict(list)
    for group in groups:
        folders[group[0].parent].append(group)
    found: list[list[Path]] = []
    for inside in folders.values():
        step = max(1, len(inside) // _SAMPLE)
        if any(_two_level(group, examine) for group in inside[::step]):
            found += inside
    return found


def _pair_by_content(
    group: Sequence[Path], pairs: Pairs, examine: Examine
) -> None:
    """Add the masks of a group if exactly one of its files is no mask."""
    masks = _two_level(group, examine)
    pictures = [path for path in group if path not in masks]
    if len(pictures) == 1:
        for mask, content in masks.items():
            pairs.add(mask, content, pictures)


def _two_level(
    group: Sequence[Path], examine: Examine
) -> dict[Path, MaskContent]:
    """Return the files that have the content of a mask."""
    contents = {path: examine(path) for path in group}
    return {
        path: found
        for path, found in contents.items()
        if found is not None and found.two_level
    }


def _has_few_levels(frame: Frame) -> bool:
    """Whether a frame has at most 8 colours, or is grey with nearly all pixels close to one of two levels."""
    if Image.fromarray(frame).getcolors(_MOST_COLOURS) is not None:
        return True
    if not _is_grey(frame):
        return False
    levels = frame[..., 0]
    low, high = int(levels.min()), int(levels.max())
    near = (levels <= low + _NEAR) | (levels >= high - _NEAR)
    return high - low >= _LEAST_SPREAD and bool(near.mean() >= _LEAST_SHARE)


def _is_grey(frame: Frame) -> bool:
    red, green, blue = (frame[..., channel] for channel in range(3))
    return np.array_equal(red, green) and np.array_equal(red, blue)
