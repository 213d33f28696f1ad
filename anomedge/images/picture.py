"""A picture: a frame with a name, a label and a mask."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt

from anomedge.errors import InputError
from anomedge.files import sha256_of_bytes, sha256_of_file
from anomedge.generated import Generated
from anomedge.images.checks import Size, check_stated_size, upright_size
from anomedge.images.masks import check_mask_depth, read_mask
from anomedge.images.reading import (
    Frame,
    Mask,
    open_picture,
    read_picture,
    stretch,
)
from anomedge.resample.levels import Levels
from anomedge.resample.outside_resize import Framing, OutsideResize

__all__ = ["Picture", "framed", "with_levels"]

_RATIO = 0.01


@dataclass(frozen=True, eq=False)
class Picture:
    """A frame with a name and labels, if known; `anomalous` is None for an unlabelled picture.

    `read`, if given, returns the checked content of the file; the file at `path` is then not opened. `kind` is the kind of
    defect as the data set names it, empty for normal and unlabelled pictures. `levels` are those of a file with more than
    8 bits per channel. `generated` tells how a proof made the picture; None for the user's own. A name cannot tell,
    because a folder of pictures may have any name.
    """

    name: str
    path: Path | None = None
    pixels: Frame | None = None
    anomalous: bool | None = None
    mask_path: Path | None = None
    read: Callable[[], bytes] | None = None
    kind: str = ""
    levels: Levels | None = None
    generated: Generated | None = None

    @overload
    def frame(self, size: tuple[int, int] | None = None) -> Frame: ...

    @overload
    def frame(
        self, size: Framing | None
    ) -> Frame | npt.NDArray[np.float32]: ...

    def frame(
        self, size: Framing | None = None
    ) -> Frame | npt.NDArray[np.float32]:
        """Return the frame (H, W, 3): uint8, in its own size or stretched to `size`.

        With an outside resize as `size`, return the input of its graph, float32.
        """
        frame = self.pixels
        if frame is None and self.path is not None:
            content = self.read() if self.read is not None else None
            frame = read_picture(self.path, content, levels=self.levels)
        if frame is None:
            raise InputError(
                f"{self.name}: got neither pixels nor a path; expected one of them"
            )
        return framed(frame, size)

    def mask(self) -> Mask | None:
        """Return the mask of anomalous pixels (H, W): all False for a normal picture, None if unknown."""
        if self.anomalous is False:
            return np.zeros(self.frame().shape[:2], dtype=np.bool_)
        if self.mask_path is not None:
            return read_mask(self.mask_path)
        return None

    @property
    def in_file(self) -> bool:
        """Whether the frame comes from a file."""
        return self.path is not None and self.pixels is None

    def stated_size(self, frame: Size | None = None) -> Size:
        """Return height and width, upright: as the file's header states them, or of the pixels in memory.

        Args:
            frame: height and width that a file must have, in either orientation; None for any.

        Raises:
            InputError: the file cannot be opened, or has another size.
        """
        if self.path is None or not self.in_file:
            height, width = self.frame().shape[:2]
            return height, width
        content = self.read() if self.read is not None else None
        with open_picture(self.path, content, header=True) as (image, _):
            if frame is not None:
                check_stated_size(image, self.path, frame)
            return upright_size(image)

    def check_mask_shape(self, size: Size | None = None) -> None:
        """Check the header of the mask, if there is one: its depth, and its aspect ratio. The mask is not decoded.

        A mask may be smaller or larger than its picture, because it is stretched. The shape of a normal picture's mask,
        and of one whose picture is in memory, may be any.

        Args:
            size: the picture's stated size, if it was read already.

        Raises:
            InputError: the aspect ratios differ by more than 1 % and a pixel, or a file cannot be opened.
        """
        if self.mask_path is None:
            return
        with open_picture(self.mask_path, header=True) as (image, file):
            check_mask_depth(image, self.mask_path, file)
            tall, wide = upright_size(image)
        if self.anomalous is False or not self.in_file:
            return
        height, width = size or self.stated_size()
        if abs(wide * height / width - tall) > max(1, _RATIO * tall):
            raise InputError(
                f"{self.mask_path}: got a mask of {tall}x{wide}; expected the shape of its picture, {height}x{width} upright: "
                f"turn the mask as the picture's EXIF turns the picture, or save it again from the picture"
            )

    @cached_property
    def digest(self) -> str | None:
        """SHA-256 of the file; it identifies a picture under any name. None without a file."""
        if self.read is not None:
            return sha256_of_bytes(self.read())
        return sha256_of_file(self.path) if self.path is not None else None


def framed(
    frame: Frame, size: Framing | None
) -> Frame | npt.NDArray[np.float32]:
    """Return a frame (H, W, 3) in its own size, stretched, or resized for a graph without a resize."""
    if isinstance(size, OutsideResize):
        return size.apply(frame)
    return frame if size is None else stretch(frame, size)


def with_levels(
    pictures: Iterable[Picture], levels: Levels | None
) -> list[Picture]:
    """Return the pictures, those with a file to be read with these levels."""
    return [
        picture
        if picture.path is None or picture.levels == levels
        else replace(picture, levels=levels)
        for picture in pictures
    ]
