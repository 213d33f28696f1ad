"""Parts of a station's soak: pictures that appear in a folder, some of them with the faults of real programs."""

import os
import time
from pathlib import Path
from random import Random

from _soak_checks import Part

__all__ = ["Feeder"]

AHEAD = 400
"""Number of parts that wait in the folder at most."""
KEPT = 200
"""Number of signalled parts that stay in the folder."""
RING = 8
"""Names that are overwritten in turn."""
_IEND = b"\0\0\0\0IEND\xaeB`\x82"


class Feeder:
    """Writes parts into a folder, and removes the older ones that were signalled.

    Args:
        folder: the watched folder.
        pictures: content of a file for each label.
        count: number of parts.
        rng: source of the faults.
    """

    def __init__(
        self, folder: Path, pictures: dict[str, bytes], count: int, rng: Random
    ) -> None:
        self.folder, self.count = folder, count
        self.pictures = pictures | {"undecided": b"\x89PNG\r\n\x1a\n" + _IEND}
        self.parts: list[Part] = []
        self.away = False
        self._rng = rng
        self._newest = time.time_ns()
        self._later: list[tuple[float, Path, bytes | None]] = []
        self._waiting: set[str] = set()
        self._signalled: list[str] = []

    @property
    def finished(self) -> bool:
        """Whether every part was written and signalled."""
        written = len(self.parts) >= self.count
        return written and not self._later and not self._waiting

    def signalled(self, name: str) -> None:
        """Note that the line of a part was seen; remove an older one."""
        self._waiting.discard(name)
        if not name.startswith("ring"):
            self._signalled.append(name)

    def work(self) -> None:
        """Write and remove files, unless the folder is away."""
        if self.away:
            return
        self._finish_halves()
        while len(self._waiting) < AHEAD and len(self.parts) < self.count:
            self._write_next()
        for name in self._signalled[:-KEPT]:
            (self.folder / name).unlink(missing_ok=True)
        self._signalled = self._signalled[-KEPT:]

    def disappear(self, empty: bool) -> None:
        """Take the folder away; leave an empty one if so, as an unmounted drive does."""
        self.away = True
        self.folder.rename(self._hidden)
        if empty:
            self.folder.mkdir()

    def come_back(self) -> None:
        """Put the folder back."""
        if self.folder.exists():
            self.folder.rmdir()
        self._hidden.rename(self.folder)
        self.away = False

    @property
    def _hidden(self) -> Path:
        return self.folder.with_name("away")

    def _write_next(self) -> None:
        number = len(self.parts)
        # The clock, as cameras do, with a step between two parts of one burst.
        self._newest = max(self._newest + 1_000_000, time.time_ns())
        label = self._rng.choices(
            ["normal", "anomalous", "undecided"], [90, 9, 1]
        )[0]
        fault = self._rng.random()
        name = f"part{number:07d}.png"
        ring = f"ring{number % RING}.png"
        if fault < 0.01 and ring not in self._waiting:
            name = ring
        content = self.pictures[label]
        target = self.folder / name
        half, vanishes = 0.01 <= fault < 0.02, 0.02 <= fault < 0.03
        ordered = not half and not vanishes
        self.parts.append(Part(name, label, not vanishes, ordered))
        if not vanishes:
            self._waiting.add(name)
        if half:
            target.write_bytes(content[: self._rng.randrange(len(content))])
            self._plan(target, content)
        else:
            self._appear(target, content, self._newest)
        if vanishes:
            self._plan(target, None)

    def _plan(self, target: Path, content: bytes | None) -> None:
        """Complete a file later, or remove it if the content is None."""
        due = time.monotonic() + self._rng.uniform(0, 0.3)
        self._later.append((due, target, content))

    def _finish_halves(self) -> None:
        now = time.monotonic()
        due = [each for each in self._later if each[0] <= now]
        self._later = [each for each in self._later if each[0] > now]
        for _, target, content in due:
            if content is None:
                target.unlink(missing_ok=True)
            else:
                target.write_bytes(content)

    def _appear(self, target: Path, content: bytes, when: int) -> None:
        temporary = self.folder / ".part"
        temporary.write_bytes(content)
        os.utime(temporary, ns=(when, when))
        temporary.rename(target)
