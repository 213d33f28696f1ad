"""Pictures whose frames are kept in memory, for work that reads each picture several times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from anomedge.images.picture import Picture, framed
from anomedge.images.reading import Frame
from anomedge.resample.outside_resize import Framing

__all__ = ["held"]

Inputs = Frame | npt.NDArray[np.float32]

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
        else _Held(**_values(picture), budget=budget)
        for picture in pictures
    ]


def _values(picture: Picture) -> dict[str, Any]:
    return {each.name: getattr(picture, each.name) for each in fields(Picture)}


@dataclass
class _Budget:
    """Bytes left for frames."""

    left: int

    def takes(self, frame: Inputs) -> bool:
        """Take the frame's bytes if they are left."""
        if frame.nbytes > self.left:
            return False
        self.left -= frame.nbytes
        return True


@dataclass(frozen=True, eq=False)
class _Held(Picture):
    """A picture that keeps the frames of requested sizes; None is the file's own size."""

    budget: _Budget = field(default_factory=lambda: _Budget(0))
    kept: dict[Framing | None, Inputs] = field(default_factory=dict)

    @overload
    def frame(self, size: tuple[int, int] | None = None) -> Frame: ...

    @overload
    def frame(self, size: Framing | None) -> Inputs: ...

    def frame(self, size: Framing | None = None) -> Inputs:
        """Return the frame as `Picture.frame`; it must not be changed."""
        if size in self.kept:
            return self.kept[size]
        own = self.frame() if None in self.kept else super().frame()
        frame = framed(own, size)
        if self.budget.takes(frame):
            frame.flags.writeable = False
            self.kept[size] = frame
            if frame is own:
                self.kept[None] = frame
        return frame
