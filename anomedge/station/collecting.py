"""Keep a random sample of normal frames as pictures, to place thresholds on them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from anomedge.errors import OutputError
from anomedge.files import (
    JsonError,
    atomic_file,
    canonical_json,
    check_target,
    read_json,
    sweep_folder,
)
from anomedge.images import Frame
from anomedge.inspector import Inspector, Result
from anomedge.station.sources.base import CapturedFrame

__all__ = ["NormalCollector", "Reservoir"]

_PICTURE = re.compile(r"normal-(\d{6})\.png")
_STATE = ".collected.json"
_STATE_LIMIT = 4096


class Reservoir:
    """Places of a random sample: each of the k items so far is in it with the same probability.

    Algorithm R (J. S. Vitter, "Random sampling with a reservoir", ACM Transactions on Mathematical Software 11, 1985):
    the first `size` items fill the places; the k-th item replaces a random one with the probability size / k.

    Args:
        size: number of places.
        free: places without an item.
        seen: number k of items so far.
        generator: random generator.
    """

    def __init__(
        self,
        size: int,
        free: Iterable[int],
        seen: int,
        generator: np.random.Generator,
    ) -> None:
        self.size, self.seen = size, seen
        self._free = sorted(free, reverse=True)
        self._generator = generator

    def place(self) -> int | None:
        """Return the place of the next item; None if it is not in the sample."""
        self.seen += 1
        if self._free:
            return self._free.pop()
        place = int(self._generator.integers(self.seen))
        return place if place < self.size else None

    def release(self, place: int) -> None:
        """Put a place back, because its item could not be stored."""
        self._free.append(place)


class NormalCollector:
    """Observer that keeps `size` normal frames, each with the same probability, as PNG files in a folder.

    A hidden file holds the number of frames so far, so that a restart goes on with the sample. Files of other names are
    not touched.

    Args:
        folder: created if it does not exist.
        size: number of pictures.
        report: receives the name of a frame that cannot be written, and the reason.
        generator: random generator.

    Raises:
        OutputError: the folder cannot be created or written.
    """

    def __init__(
        self,
        folder: Path,
        size: int,
        report: Callable[[str, str], None],
        generator: np.random.Generator | None = None,
    ) -> None:
        self._folder, self._report = folder, report
        try:
            folder.mkdir(parents=True, exist_ok=True)
            check_target(folder / "normal.png", force=True)
            sweep_folder(folder, ".png")
            free = self._free_places(size)
        except OSError as error:
            raise OutputError(
                f"cannot write into {folder}: {error.strerror or error}; give a folder that can be written"
            ) from error
        seen = max(self._stored_count(), size - len(free))
        self._reservoir = Reservoir(
            size, free, seen, generator or np.random.default_rng()
        )

    def decided(
        self, frame: CapturedFrame, result: Result, inspector: Inspector
    ) -> None:
        """Add a decided frame; anomalous ones are left out."""
        del inspector  # the label is enough
        if result.label != "normal":
            return
        place = self._reservoir.place()
        if place is None:
            return
        try:
            self._write(place, frame.pixels)
        except (OSError, OutputError) as error:
            self._reservoir.release(place)
            self._report(frame.name, f"not collected: {error}")

    def _write(self, place: int, pixels: Frame) -> None:
        target = self._folder / f"normal-{place:06d}.png"
        with atomic_file(target, force=True, sweep=False) as temporary:
            Image.fromarray(pixels).save(
                temporary, format="PNG", compress_level=1
            )
        state = self._folder / _STATE
        with atomic_file(state, force=True, sweep=False) as temporary:
            temporary.write_bytes(
                canonical_json({"seen": self._reservoir.seen})
            )

    def _free_places(self, size: int) -> set[int]:
        """Return the places without a picture; remove pictures beyond the size."""
        free = set(range(size))
        for path in self._folder.iterdir():
            match = _PICTURE.fullmatch(path.name)
            if match is None:
                continue
            if int(match[1]) < size:
                free.discard(int(match[1]))
            else:
                path.unlink()
        return free

    def _stored_count(self) -> int:
        """Return the number of normal frames of earlier runs; 0 if it is not known."""
        with suppress(OSError, JsonError):
            content = read_json(self._folder / _STATE, _STATE_LIMIT)
            seen = content.get("seen")
            if type(seen) is int and seen >= 0:
                return seen
        return 0
