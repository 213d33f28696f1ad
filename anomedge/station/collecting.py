"""Keep a random sample of normal frames as pictures, to place thresholds on them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

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

__all__ = ["NormalCollector"]

_PICTURE = re.compile(r"normal-(\d{6})\.png")
_STATE = ".collected.json"
_STATE_LIMIT = 4096


class NormalCollector:
    """Observer that keeps `size` normal frames, each with the same probability, as PNG files in a folder.

    Algorithm R (J. S. Vitter, "Random sampling with a reservoir", ACM Transactions on Mathematical Software 11, 1985):
    the first `size` frames fill the places; the k-th frame replaces a random one with the probability size / k. A hidden
    file holds k, so that a restart goes on with the sample. Files of other names are not touched.

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
        generator: random.Random | None = None,
    ) -> None:
        self._folder, self._size, self._report = folder, size, report
        self._generator = generator or random.Random()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            check_target(folder / "normal.png", force=True)
            sweep_folder(folder, ".png")
            self._free = self._free_places()
        except OSError as error:
            raise OutputError(
                f"cannot write into {folder}: {error.strerror or error}; give a folder that can be written"
            ) from error
        self._seen = max(self._stored_count(), size - len(self._free))

    def decided(
        self, frame: CapturedFrame, result: Result, inspector: Inspector
    ) -> None:
        """Add a decided frame; anomalous ones are left out."""
        if result.label != "normal":
            return
        self._seen += 1
        place = self._chosen_place()
        if place is None:
            return
        try:
            self._write(place, frame.pixels)
        except (OSError, OutputError) as error:
            self._report(frame.name, f"not collected: {error}")

    def _chosen_place(self) -> int | None:
        if self._free:
            return self._free[-1]
        place = self._generator.randrange(self._seen)
        return place if place < self._size else None

    def _write(self, place: int, pixels: Frame) -> None:
        target = self._folder / f"normal-{place:06d}.png"
        with atomic_file(target, force=True, sweep=False) as temporary:
            Image.fromarray(pixels).save(
                temporary, format="PNG", compress_level=1
            )
        if self._free and self._free[-1] == place:
            self._free.pop()
        state = self._folder / _STATE
        with atomic_file(state, force=True, sweep=False) as temporary:
            temporary.write_bytes(canonical_json({"seen": self._seen}))

    def _free_places(self) -> list[int]:
        """Return the places without a picture, highest first; remove pictures beyond the size."""
        taken = set()
        for path in self._folder.iterdir():
            match = _PICTURE.fullmatch(path.name)
            if match is None:
                continue
            place = int(match[1])
            if place < self._size:
                taken.add(place)
            else:
                path.unlink()
        return sorted(set(range(self._size)) - taken, reverse=True)

    def _stored_count(self) -> int:
        """Return the number of normal frames of earlier runs; 0 if it is not known."""
        with suppress(OSError, JsonError):
            content = read_json(self._folder / _STATE, _STATE_LIMIT)
            seen = content.get("seen")
            if type(seen) is int and seen >= 0:
                return seen
        return 0
