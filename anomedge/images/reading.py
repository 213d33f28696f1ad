"""Reading pictures: what a file becomes is decided here, once, for fitting, proving and inspecting alike.

A picture is an RGB frame, uint8 (H, W, 3). EXIF rotation is applied; grey and palette pictures are repeated or looked
up into RGB, an alpha channel is dropped, CMYK is converted by Pillow. Refused, because they would need a choice that
nobody made: more than 8 bits a channel, several frames in one file, more pixels than Pillow's guard allows. Damaged
pixels are refused; metadata that Pillow cannot make sense of are passed over, and then say nothing of rotation.

All commands list and label folders with these functions:

- `scan_folder` lists pictures, masks and unreadable entries;
- `read_folder` adds labels and masks if the folder has the layout of MVTec AD;
- `read_normal` reads a folder whose pictures must all be normal.
"""

import io
import os
import stat
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from anomedge.errors import InputError
from anomedge.files import open_plain, sha256_of_bytes, sha256_of_file
from anomedge.images.checks import (
    bits_a_channel,
    check_stated_size,
    refuse_many_scans,
)
from anomedge.names import indented, storable

__all__ = [
    "EIGHT_BIT_MODES",
    "SUFFIXES",
    "Frame",
    "Listing",
    "Mask",
    "Picture",
    "list_pictures",
    "read_folder",
    "read_folders",
    "read_normal",
    "read_picture",
    "scan_folder",
    "stretch",
]

Frame = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

SUFFIXES = frozenset(
    {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
)
# No other of Pillow's readers is asked, whatever a file is called: the one for EPS starts another program.
_FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")
_OTHER_SUFFIXES = frozenset(
    {
        ".apng", ".arw", ".avif", ".cr2", ".cr3", ".dcm", ".dds", ".dib", ".dng", ".exr", ".gif", ".hdr", ".heic",
        ".heif", ".ico", ".j2c", ".j2k", ".jfif", ".jp2", ".jpe", ".jpf", ".jpx", ".jxl", ".nef", ".orf", ".pam",
        ".pbm", ".pcx", ".pfm", ".pgm", ".pnm", ".ppm", ".psd", ".raf", ".raw", ".rw2", ".sgi", ".svg", ".tga",
    }
)  # fmt: skip
"""Suffixes of picture formats that are not supported; such files are reported, not skipped silently."""
_GOOD, _TEST, _GROUND_TRUTH = "good", "test", "ground_truth"
_MOST_FRAMES = 100
"""Largest number of frames counted in one file; a TIFF may list any number, and counting takes 1 ms per frame."""
EIGHT_BIT_MODES = frozenset(
    {
        "1",
        "L",
        "LA",
        "P",
        "PA",
        "RGB",
        "RGBA",
        "RGBX",
        "CMYK",
        "YCbCr",
        "HSV",
        "LAB",
    }
)


@dataclass(frozen=True, eq=False)
class Picture:
    """A frame with a name and labels, if known; `anomalous` is None for an unlabelled picture.

    `read`, if given, returns the checked content of the file; the file at `path` is then not opened.
    """

    name: str
    path: Path | None = None
    pixels: Frame | None = None
    anomalous: bool | None = None
    mask_path: Path | None = None
    read: Callable[[], bytes] | None = None

    def frame(self, size: tuple[int, int] | None = None) -> Frame:
        """The frame (H, W, 3), stretched to `size` where it is not of that size."""
        frame = self.pixels
        if frame is None and self.path is not None:
            frame = read_picture(
                self.path, self.read() if self.read is not None else None
            )
        if frame is None:
            raise InputError(
                f"{self.name}: got neither pixels nor a path; expected one of them"
            )
        return stretch(frame, size or frame.shape[:2])

    def mask(self) -> Mask | None:
        """Where the anomaly is (H, W), all False for a normal picture, None when nobody said."""
        if self.mask_path is not None:
            return np.asarray(read_picture(self.mask_path)[..., 0] > 127)
        if self.anomalous is False:
            return np.zeros(self.frame().shape[:2], dtype=np.bool_)
        return None

    @cached_property
    def digest(self) -> str | None:
        """SHA-256 of the file, by which a picture is known again under another name."""
        if self.read is not None:
            return sha256_of_bytes(self.read())
        return sha256_of_file(self.path) if self.path is not None else None


def read_picture(
    path: Path,
    content: bytes | None = None,
    *,
    size: tuple[int, int] | None = None,
) -> Frame:
    """Read a picture as RGB, uint8 (H, W, 3); `content` replaces reading the file.

    With `size`, a file that states another height and width, in either orientation, is refused undecoded.

    Raises:
        InputError: the file is missing, not a plain file (a pipe, a device), truncated, not a picture, animated, too
            large, of another size than `size`, a JPEG of more than 200 scans, or has more than 8 bits per channel.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with _opened(path, content) as file:
                refuse_many_scans(file, path)
                with Image.open(file, formats=_FORMATS) as image:
                    if size is not None:
                        check_stated_size(image, path, size)
                    return _rgb(image, path, file)
    except (
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:
        raise InputError(
            f"{path}: got {error}; expected a camera picture: scale it down"
        ) from error
    except InputError:
        raise
    except Exception as error:  # decoders raise whatever they run into
        raise InputError(
            f"{path}: cannot be read as a picture ({error}); give a whole PNG, JPEG, BMP, TIFF or WebP"
        ) from error


def stretch(frame: Frame, size: tuple[int, int]) -> Frame:
    """A frame of `size` (height, width): the same one, or resized by Pillow (bilinear, antialiased)."""
    if frame.shape[:2] == size:
        return frame
    height, width = size
    return np.asarray(
        Image.fromarray(frame).resize(
            (width, height), Image.Resampling.BILINEAR
        )
    )


@dataclass(frozen=True)
class Listing:
    """Contents of a folder and its subfolders; hidden files and folders are left out.

    Attributes:
        folder: the folder that was listed.
        pictures: plain files, or links to plain files, whose suffix is in `SUFFIXES`, sorted by relative path.
        masks: the same files below a folder named `ground_truth`.
        unreadable: one line, path and reason, for each folder that cannot be listed, link to a folder, broken link,
            pipe or device with a picture's suffix, and picture in an unsupported format.
    """

    folder: Path
    pictures: list[Path] = field(default_factory=list)
    masks: list[Path] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    def name(self, path: Path) -> str:
        """Return the path relative to the folder, with forward slashes."""
        return path.relative_to(self.folder).as_posix()

    def require_complete(self) -> None:
        """Refuse a listing with unreadable entries.

        Raises:
            InputError: an entry is unreadable; the message lists the entries.
        """
        if self.unreadable:
            raise InputError(
                f"{self.folder}: {len(self.unreadable)} of its pictures and folders cannot be read; expected all of "
                f"them to be readable: repair, convert or move these away:{indented(self.unreadable)}"
            )

    def require_pictures(self) -> None:
        """Refuse a listing without pictures.

        Raises:
            InputError: the folder holds no picture.
        """
        if not self.pictures:
            raise InputError(
                f"{self.folder} holds no picture; expected files ending in {', '.join(sorted(SUFFIXES))}"
            )


def scan_folder(folder: Path) -> Listing:
    """List pictures, masks and unreadable entries below a folder. Links to folders are not followed.

    Raises:
        InputError: the path is not a folder, or the folder itself cannot be listed.
    """
    if not os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir raises where a parent may not be entered
        raise InputError(
            f"got {folder}; expected a folder of pictures: check the path"
        )
    listing = Listing(folder)
    waiting = [folder]
    while waiting:
        waiting += _scan_one(waiting.pop(), listing)
    for paths in (listing.pictures, listing.masks):
        paths.sort(key=listing.name)
    listing.unreadable.sort()
    return listing


def list_pictures(folder: Path) -> list[Path]:
    """List the pictures below a folder, sorted by relative path; masks and hidden files are left out.

    Raises:
        InputError: the path is not a folder, the folder holds no picture, or an entry is unreadable.
    """
    listing = scan_folder(folder)
    listing.require_complete()
    listing.require_pictures()
    return listing.pictures


def read_folder(folder: Path) -> list[Picture]:
    """The pictures of a folder, with labels and masks where it is laid out as MVTec AD is.

    With a folder `good` among its own (or those of its `test`), pictures in `good` are normal and all others
    anomalous, and `ground_truth/<kind>/<name>_mask.png` beside or within it is a picture's mask. Without one,
    the pictures are unlabelled. Files below a folder `ground_truth` are masks, never pictures.

    Raises:
        InputError: as `list_pictures`, or the masks cannot be listed.
    """
    root = _labelled_root(folder)
    labelled = (root / _GOOD).is_dir()
    masks = _mask_folder(root) if labelled else None
    return [
        _picture(path, root, labelled, masks) for path in list_pictures(root)
    ]


def read_normal(folder: Path) -> list[Picture]:
    """Read the pictures of a folder and require that all are normal; labels and masks as in `read_folder`.

    Raises:
        InputError: as `read_folder`, or some pictures are anomalous according to the layout.
    """
    pictures = read_folder(folder)
    labelled = pictures[0].anomalous is not None
    anomalous = any(picture.anomalous for picture in pictures)
    if anomalous or (not labelled and _holds_labelled_folders(folder)):
        kinds: set[str] = set()
        for picture in pictures:
            kinds.update(picture.name.split("/")[:-1])
        raise InputError(
            f"{folder} holds anomalous pictures ({', '.join(sorted(kinds))}); expected only normal pictures: "
            f"give train/good, or another folder of normal pictures"
        )
    if _labelled_root(folder) != folder:
        raise InputError(
            f"{folder} holds a folder `test`; expected only normal pictures: give {folder / 'train'}"
        )
    return pictures


def read_folders(folders: Sequence[Path]) -> list[Picture]:
    """The pictures of several folders; with more than one, names start with their folder's place and name."""
    if len(folders) == 1:
        return read_folder(folders[0])
    return [
        replace(
            picture, name=f"{number}-{storable(folder.name)}/{picture.name}"
        )
        for number, folder in enumerate(folders, start=1)
        for picture in read_folder(folder)
    ]


def _scan_one(folder: Path, listing: Listing) -> list[Path]:
    """Add a folder's own entries to the listing; return its subfolders."""
    try:
        with os.scandir(folder) as entries:
            found = list(entries)
    except OSError as error:
        reason = error.strerror or str(error)
        if folder == listing.folder:
            raise InputError(
                f"{folder} cannot be listed ({reason}); expected a folder that you may read"
            ) from error
        listing.unreadable.append(
            f"{folder}: the folder cannot be listed ({reason})"
        )
        return []
    shown = [entry for entry in found if not entry.name.startswith(".")]
    return [
        folder / entry.name
        for entry in shown
        if _add_entry(entry, folder / entry.name, listing)
    ]


def _add_entry(entry: os.DirEntry[str], path: Path, listing: Listing) -> bool:
    """Add an entry to the listing; return True for a folder, which the caller lists."""
    suffix = path.suffix.lower()
    try:
        mode = entry.stat().st_mode
    except OSError as error:
        vanished = (
            isinstance(error, FileNotFoundError) and not entry.is_symlink()
        )
        if not vanished and (
            suffix in SUFFIXES | _OTHER_SUFFIXES or not suffix
        ):
            what = (
                "a broken link" if entry.is_symlink() else "it cannot be read"
            )
            listing.unreadable.append(
                f"{path}: {what} ({error.strerror or error})"
            )
        return False
    if stat.S_ISDIR(mode) and not entry.is_symlink():
        return True
    if stat.S_ISDIR(mode):
        listing.unreadable.append(
            f"{path}: a link to a folder, which is not followed; give that folder itself"
        )
    elif suffix in _OTHER_SUFFIXES:
        listing.unreadable.append(
            f"{path}: pictures ending in {suffix} are not read; convert it to PNG"
        )
    elif suffix in SUFFIXES and not stat.S_ISREG(mode):
        listing.unreadable.append(
            f"{path}: a pipe or a device; expected a plain file"
        )
    elif suffix in SUFFIXES:
        is_mask = _GROUND_TRUTH in path.relative_to(listing.folder).parts
        (listing.masks if is_mask else listing.pictures).append(path)
    return False


def _labelled_root(folder: Path) -> Path:
    """Return the folder that may hold `good`: `test` in a complete data set, else the folder itself."""
    return folder / _TEST if (folder / _TEST / _GOOD).is_dir() else folder


def _mask_folder(root: Path) -> Path | None:
    """Return the folder of masks beside or within a labelled folder, or None; refuse one with unreadable entries."""
    for masks in (root.parent / _GROUND_TRUTH, root / _GROUND_TRUTH):
        if masks.is_dir():
            scan_folder(masks).require_complete()
            return masks
    return None


def _holds_labelled_folders(folder: Path) -> bool:
    """Whether an unlabelled folder holds masks, or a subfolder with `good` and other folders beside it."""
    listing = scan_folder(folder)
    if listing.masks:
        return True
    paths = [path.relative_to(folder).parts for path in listing.pictures]
    roots = {
        parts[: parts.index(_GOOD)] for parts in paths if _GOOD in parts[:-1]
    }
    return any(_is_beside_good(parts, roots) for parts in paths)


def _is_beside_good(
    parts: tuple[str, ...], roots: Iterable[tuple[str, ...]]
) -> bool:
    """Whether a path lies in one of the folders that hold `good`, but not in `good` itself."""
    return any(
        parts[: len(root)] == root and parts[len(root)] != _GOOD
        for root in roots
    )


def _picture(
    path: Path, root: Path, labelled: bool, masks: Path | None
) -> Picture:
    inner = path.relative_to(root)
    name = storable(inner.as_posix())
    if not labelled:
        return Picture(name=name, path=path)
    anomalous = inner.parts[0] != _GOOD
    mask = (
        masks / inner.parent / f"{path.stem}_mask.png"
        if masks is not None and anomalous
        else None
    )
    known = mask if mask is not None and mask.is_file() else None
    return Picture(name=name, path=path, anomalous=anomalous, mask_path=known)


@contextmanager
def _opened(path: Path, content: bytes | None) -> Iterator[BinaryIO]:
    """Open a plain file, or `content` if given; refuse a pipe or device without blocking."""
    if content is not None:
        yield io.BytesIO(content)
        return
    with open_plain(path) as file:
        yield file


def _rgb(image: Image.Image, path: Path, file: BinaryIO) -> Frame:
    if (frames := _count_frames(image)) > 1:
        shown = f"{frames}" if frames < _MOST_FRAMES else f"{frames} or more"
        raise InputError(
            f"{path}: got {shown} frames in one file; expected one: save the frame you mean"
        )
    if (depth := bits_a_channel(image, file)) > 8:
        raise InputError(
            f"{path}: got {depth} bits a channel; expected 8 bits a channel: convert it the way you want it"
        )
    if image.mode not in EIGHT_BIT_MODES:
        raise InputError(
            f"{path}: got mode {image.mode}; expected 8 bits a channel: convert it the way you want it"
        )
    upright = ImageOps.exif_transpose(image)
    return np.asarray(upright.convert("RGB"))


def _count_frames(image: Image.Image) -> int:
    """Count the frames of a file, up to `_MOST_FRAMES`: Pillow reads the frames of a TIFF one after another."""
    if image.format != "TIFF":
        return int(getattr(image, "n_frames", 1))
    count = 1
    while count < _MOST_FRAMES and _has_frame(image, count):
        count += 1
    return count


def _has_frame(image: Image.Image, place: int) -> bool:
    try:
        image.seek(place)
    except EOFError:
        return False
    return True
