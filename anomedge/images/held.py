"""Pictures whose frames are kept in memory, for work that reads each picture several times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from anomedge.images.picture import Picture
from anomedge.images.reading import Frame, stretch

__all__ = ["held"]

_MOST_BYTES = 512 << 20
"""Largest size of all kept frames, in bytes."""


def held(
    pictures: Sequence[Picture], most_bytes: int = _MOST_BYTES
) -> list[Picture]:
    """Return pictures whose files are decoded once.

    A frame is kept from its first use, as long as all kept frames have at most
    `most_bytes`; other files are decoded on each use. Pictures with `pixels` and
    held pictures are returned unchanged.
    """
    budget = _Budget(most_bytes)
    return [
        picture
        if picture.pixels is not None or isinstance(picture, _Held)
        else _Held(
            picture.name,
            picture.path,
            None,
            picture.anomalous,
            picture.mask_path,
            picture.read,
            budget,
        )
        for picture in pictures
    ]


@dataclass
class _Budget:
    """Bytes left for frames."""

    left: int

    def takes(self, frame: Frame) -> bool:
        """Take the frame's bytes if they are left."""
        if frame.nbytes > self.left:
            return False
        self.left -= frame.nbytes
        return True


@dataclass(frozen=True, eq=False)
class _Held(Picture):
    """A picture that keeps the frames of requested sizes; None is the file's own size."""

    budget: _Budget = field(default_factory=lambda: _Budget(0))
    kept: dict[tuple[int, int] | None, Frame] = field(default_factory=dict)

    def frame(self, size: tuple[int, int] | None = None) -> Frame:
        """Return the frame (H, W, 3), stretched to `size` if given; it must not be changed."""
        if size in self.kept:
            return self.kept[size]
        own = super().frame()
        if size is None:
            return own
        frame = stretch(own, size)
        if self.budget.takes(frame):
            frame.flags.writeable = False
            self.kept[size] = frame
            if frame is own:
                self.kept[None] = frame
        return frame
