"""Detect that the files at a bundle's path changed after the bundle was opened.

A session runs from memory, so changed files do not affect it. Without a warning, a user who replaced the bundle would
take verdicts of the old bundle for verdicts of the new one.
"""

from __future__ import annotations

import time
from pathlib import Path

from anomedge.bundle import MANIFEST, Bundle, digest_at
from anomedge.bundle.local_place import local_files
from anomedge.bundle.snapshot import FileState, file_state

__all__ = ["Changes"]

_GOLDEN = "golden/"
_POLL_INTERVAL_SECONDS = 1.0
_REMEDY = "the bundle that was opened stays in use: restart to use the files that are there now"


class Changes:
    """Polls the files of an open bundle for changes; costs a few system calls a second.

    Args:
        bundle: the open bundle.
        every: poll interval, in seconds.
    """

    def __init__(
        self, bundle: Bundle, every: float = _POLL_INTERVAL_SECONDS
    ) -> None:
        self._bundle, self._every = bundle, every
        self._paths = {
            name: bundle.path / name
            for name in (MANIFEST, *bundle.manifest.files)
        }
        self._paths |= {_shown(path, bundle): path for path in _local(bundle)}
        # The manifest may have changed between opening and now, so the first poll always compares its digest.
        self._known: dict[str, FileState] = self._states() | {MANIFEST: None}
        self._next_poll = 0.0
        self._last_message = ""

    def ask(self) -> str | None:
        """Return one sentence on new changes; None without any, or before the poll interval has passed."""
        now = time.monotonic()
        if now < self._next_poll:
            return None
        self._next_poll = now + self._every
        states = self._states()
        written = [
            name for name, state in states.items() if state != self._known[name]
        ]
        self._known = states
        message = self._sentence(written) if written else ""
        if not message or message == self._last_message:
            return None
        self._last_message = message
        return message

    def _states(self) -> dict[str, FileState]:
        return {
            name: _state(path, name.startswith(_GOLDEN))
            for name, path in self._paths.items()
        }

    def _sentence(self, written: list[str]) -> str:
        path, digest = self._bundle.path, self._bundle.manifest.digest
        found = digest_at(path)
        if found is None:
            return f"{path} no longer holds a complete bundle (opened: {digest[:12]}); {_REMEDY}"
        if found != digest:
            return f"{path} holds another bundle now ({found[:12]}, not {digest[:12]}); {_REMEDY}"
        changed = [name for name in written if name != MANIFEST]
        if not changed:
            return ""
        return f"{path}: {', '.join(changed[:3])} changed since the bundle was opened; {_REMEDY}"


def _local(bundle: Bundle) -> list[Path]:
    digest = bundle.manifest.digest
    return local_files(bundle.path, digest, bundle.local_folder)


def _shown(path: Path, bundle: Bundle) -> str:
    return path.name if path.parent == bundle.path else str(path)


def _state(path: Path, golden: bool) -> FileState:
    """Return the state of a file; without times for golden files, because no session runs from them."""
    state = file_state(path)
    return state[:2] if golden and state is not None else state
