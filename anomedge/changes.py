"""Noticing that the files at a bundle's path are no longer those that were opened.

What runs is in memory and stays what was hashed. Somebody who has put another bundle in its place must hear of that, or he
takes the old verdicts for the new bundle's.
"""

from __future__ import annotations

import time
from pathlib import Path

from anomedge.bundle import LOCAL, MANIFEST, MANIFEST_LIMIT, Bundle
from anomedge.strict_json import JsonError, read_json

__all__ = ["Changes"]

_EVERY = 1.0
_GOES_ON = "what was opened goes on as it was: restart to use what is there now"

_State = tuple[int, int, int] | None
"""Inode, time of the last change in ns and size of a file; None where there is none."""


class Changes:
    """Looks at a bundle's files, for a few system calls a second.

    Args:
        bundle: as it was opened.
        every: seconds between two looks.
    """

    def __init__(self, bundle: Bundle, every: float = _EVERY) -> None:
        self._bundle, self._every = bundle, every
        graphs = [name for name in bundle.manifest.files if not name.startswith("golden/")]
        self._paths = {name: bundle.path / name for name in (MANIFEST, LOCAL, *graphs)}
        # The manifest may have changed before this: the first look compares its digest in any case.
        self._known: dict[str, _State] = self._states() | {MANIFEST: None}
        self._next = 0.0
        self._said = ""

    def ask(self) -> str | None:
        """What has changed, in a sentence; None where nothing has, or that was said already, or it is not time to look."""
        now = time.monotonic()
        if now < self._next:
            return None
        self._next = now + self._every
        states = self._states()
        written = [name for name, state in states.items() if state != self._known[name]]
        self._known = states
        said = self._sentence(written) if written else ""
        if not said or said == self._said:
            return None
        self._said = said
        return said

    def _states(self) -> dict[str, _State]:
        return {name: _state(path) for name, path in self._paths.items()}

    def _sentence(self, written: list[str]) -> str:
        path, digest = self._bundle.path, self._bundle.manifest.digest
        there = _digest_at(self._paths[MANIFEST])
        if there is None:
            return f"{path} is no longer the bundle that was opened ({digest[:12]}), and no whole one; {_GOES_ON}"
        if there != digest:
            return f"{path} holds another bundle now ({there[:12]}, not {digest[:12]}); {_GOES_ON}"
        changed = [name for name in written if name != MANIFEST]
        if not changed:
            return ""
        return f"{path}: {', '.join(changed[:3])} changed since the bundle was opened; {_GOES_ON}"


def _state(path: Path) -> _State:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _digest_at(path: Path) -> str | None:
    """The digest that a manifest says it has; None where there is no whole manifest."""
    try:
        digest = read_json(path, MANIFEST_LIMIT).get("digest")
    except (OSError, JsonError):
        return None
    return digest if isinstance(digest, str) and digest.isalnum() else None
