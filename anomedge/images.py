"""Reading pictures: what a file becomes is decided here, once, for fitting, proving and inspecting alike.

A picture is an RGB frame, uint8 (H, W, 3). EXIF rotation is applied; grey and palette pictures are repeated or looked
up into RGB, an alpha channel is dropped, CMYK is converted by Pillow. Refused, because they would need a choice that
nobody made: more than 8 bits a channel, several frames in one file, more pixels than Pillow's guard allows. Damaged
pixels are refused; metadata that Pillow cannot make sense of are passed over, and then say nothing of rotation.
"""

import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from anomedge.errors import InputError
from anomedge.files import sha256_of_bytes, sha256_of_file

__all__ = [
    "SUFFIXES",
    "Frame",
    "Mask",
    "Picture",
    "list_pictures",
    "read_folder",
    "read_folders",
    "read_picture",
    "stretch",
]

Frame = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
# No other of Pillow's readers is asked, whatever a file is called: the one for EPS starts another program.
_FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")
_EIGHT_BIT = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"})


@dataclass(frozen=True, eq=False)
class Picture:
    """A frame with a name, and what is known of it: `anomalous` is None when nobody said.

    `read` gives the file's content where something answers for it; the file at `path` is not opened then.
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
            frame = read_picture(self.path, self.read() if self.read is not None else None)
        if frame is None:
            raise InputError(f"{self.name}: got neither pixels nor a path; expected one of them")
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


def read_picture(path: Path, content: bytes | None = None) -> Frame:
    """Read a picture as RGB, uint8 (H, W, 3); from the file's content where that was read already.

    Raises:
        InputError: the file is missing, truncated, no picture, animated, too large, or has over 8 bits a channel.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            opened = path.open("rb") if content is None else io.BytesIO(content)
            with opened as file, Image.open(file, formats=_FORMATS) as image:
                return _rgb(image, path, file)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"{path}: got {error}; expected a camera picture: scale it down") from error
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
    return np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BILINEAR))


def list_pictures(folder: Path) -> list[Path]:
    """Every picture below a folder, in the order of its path relative to it; hidden files are left out.

    Raises:
        InputError: it is no folder, or holds no picture.
    """
    if not folder.is_dir():
        raise InputError(f"got {folder}; expected a folder of pictures: check the path")
    found = [path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()]
    names = {path: path.relative_to(folder).as_posix() for path in found}
    shown = [path for path in found if not any(part.startswith(".") for part in names[path].split("/"))]
    if not shown:
        raise InputError(f"{folder} holds no picture; expected files ending in {', '.join(sorted(SUFFIXES))}")
    return sorted(shown, key=names.__getitem__)


def read_folder(folder: Path) -> list[Picture]:
    """The pictures of a folder, with labels and masks where it is laid out as MVTec AD is.

    With a folder `good` among its own (or those of its `test`), pictures in `good` are normal and all others
    anomalous, and `ground_truth/<kind>/<name>_mask.png` beside or within it is a picture's mask. Without one,
    nothing is known of the pictures.
    """
    root = folder / "test" if (folder / "test" / "good").is_dir() else folder
    labelled = (root / "good").is_dir()
    masks = next((p for p in (root.parent / "ground_truth", root / "ground_truth") if p.is_dir()), None)
    paths = [p for p in list_pictures(root) if "ground_truth" not in p.relative_to(root).parts]
    return [_picture(path, root, labelled, masks) for path in paths]


def read_folders(folders: Sequence[Path]) -> list[Picture]:
    """The pictures of several folders; with more than one, names start with their folder's place and name."""
    if len(folders) == 1:
        return read_folder(folders[0])
    return [
        replace(picture, name=f"{number}-{folder.name}/{picture.name}")
        for number, folder in enumerate(folders, start=1)
        for picture in read_folder(folder)
    ]


def _picture(path: Path, root: Path, labelled: bool, masks: Path | None) -> Picture:
    inner = path.relative_to(root)
    if not labelled:
        return Picture(name=inner.as_posix(), path=path)
    anomalous = inner.parts[0] != "good"
    mask = masks / inner.parent / f"{path.stem}_mask.png" if masks is not None and anomalous else None
    known = mask if mask is not None and mask.is_file() else None
    return Picture(name=inner.as_posix(), path=path, anomalous=anomalous, mask_path=known)


def _rgb(image: Image.Image, path: Path, file: BinaryIO) -> Frame:
    if (frames := getattr(image, "n_frames", 1)) > 1:
        raise InputError(f"{path}: got {frames} frames in one file; expected one: save the frame you mean")
    if (depth := _bits(image, file)) > 8:
        raise InputError(
            f"{path}: got {depth} bits a channel; expected 8 bits a channel: convert it the way you want it"
        )
    if image.mode not in _EIGHT_BIT:
        raise InputError(f"{path}: got mode {image.mode}; expected 8 bits a channel: convert it the way you want it")
    upright = ImageOps.exif_transpose(image)
    return np.asarray(upright.convert("RGB"))


def _bits(image: Image.Image, file: BinaryIO) -> int:
    """Bits a channel as the file has them: Pillow opens 16-bit colour as if it were 8."""
    if image.format == "PNG":
        place = file.tell()
        file.seek(24)
        depth = file.read(1)[0]  # the header chunk's depth, always there
        file.seek(place)
        return depth
    if image.format == "TIFF":
        depth = image.getexif().get(258, 8)
        return int(max(depth)) if isinstance(depth, tuple) else int(depth)
    return 8
