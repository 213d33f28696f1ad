"""Follow the bundle's files while a station runs: a changed threshold or bundle is used from the next frame on.

The loop asks between two frames. Files count as written when two looks, a quarter of a second apart, find them
unchanged. A changed `local.json` is then read; changed other files are opened, checked and tried in a thread of its own,
while the bundle in use goes on from memory. Only a bundle that passed replaces it, as a whole: graphs, decision and
geometry come from one inspector.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from anomedge.bundle import Bundle, digest_at
from anomedge.bundle.snapshot import FileState, local_names, snapshot
from anomedge.errors import AnomedgeError
from anomedge.inspector import Inspector
from anomedge.station.candidate import CandidateRules, Opening
from anomedge.station.output import EventWriter

__all__ = ["FollowedBundle", "Follower", "PinnedBundle", "write_applied"]

_POLL_INTERVAL = 0.25
_CLOSE_TIMEOUT = 10.0
"""Time for the end of an opening when the station ends, in seconds."""
_IN_USE = {"decision": "threshold", "bundle": "bundle"}

Warn = Callable[[str], None]


def _silent(message: str) -> None:
    del message


class Follower(Protocol):
    """Chooses the inspector of the next frame."""

    def follow(self, inspector: Inspector) -> Inspector:
        """Return the inspector of the next frame, as a rule the given one; called between two frames."""

    def reload(self) -> None:
        """Request a reload; safe in a signal handler."""

    def close(self) -> None:
        """Close the bundles that it has opened."""


class PinnedBundle:
    """Keeps the bundle that was opened in use, and writes a line when its files change.

    Args:
        output: receives the lines.
        warn: called with each message as well.
    """

    def __init__(self, output: EventWriter, warn: Warn = _silent) -> None:
        self._output, self._warn = output, warn
        self._reload_requested = False

    def follow(self, inspector: Inspector) -> Inspector:
        """Return the same inspector."""
        if self._reload_requested:
            self._reload_requested = False
            _write_reloaded(
                self._output, inspector, "pinned: nothing is read again"
            )
        message = inspector.changed()
        if message is not None:
            self._output.write(
                "changed",
                name=str(inspector.bundle.path),
                state="refused",
                message=message,
            )
            self._warn(message)
        return inspector

    def reload(self) -> None:
        """Request a line that says that nothing is read again."""
        self._reload_requested = True

    def close(self) -> None:
        """Do nothing."""


class FollowedBundle:
    """Uses changed thresholds and bundles.

    Args:
        output: receives the lines.
        rules: conditions for another bundle.
        warn: called with each refusal as well.
        every: interval between two looks at the files, in seconds.
    """

    def __init__(
        self,
        output: EventWriter,
        rules: CandidateRules,
        warn: Warn = _silent,
        every: float = _POLL_INTERVAL,
    ) -> None:
        self._output, self._rules, self._warn = output, rules, warn
        self._every = every
        self._next_look = 0.0
        self._reload_requested = False
        # None until the first look: files may have changed since opening.
        self._handled: dict[str, FileState] | None = None
        self._seen: dict[str, FileState] = {}
        self._opening: Opening | None = None
        self._opened: Inspector | None = None
        self._announced = False
        self._refused: set[str] = set()

    def reload(self) -> None:
        """Request that the files are read again, whether they changed or not; safe in a signal handler."""
        self._reload_requested = True

    def follow(self, inspector: Inspector) -> Inspector:
        """Return the inspector of the next frame: the given one, with its decision read again, or a new one."""
        if self._reload_requested:
            self._reload_requested = False
            self._reload(inspector)
        if self._opening is not None:
            return self._finish(self._opening, inspector)
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + self._every
            self._look(inspector)
        return inspector

    def close(self) -> None:
        """Close the inspector that was opened last, and one that is being opened."""
        if self._opened is not None:
            self._opened.close()
        if self._opening is None:
            return
        try:
            candidate = self._opening.result(_CLOSE_TIMEOUT)
        except Exception:  # noqa: BLE001 - it would have been refused
            return
        if candidate is not None:
            candidate.close()

    def _reload(self, inspector: Inspector) -> None:
        """Read the local settings of the bundle in use, or open the bundle that is there now."""
        if _holds(inspector.bundle):
            self._read_decision(inspector)
        elif self._opening is None:
            self._open(inspector)
        _write_reloaded(self._output, inspector, "the files are read again")

    def _look(self, inspector: Inspector) -> None:
        found = snapshot(inspector.bundle)
        if found == self._handled:
            return
        if found != self._seen:
            self._seen = found
            self._announce(inspector)
            return
        self._handle(inspector)

    def _handle(self, inspector: Inspector) -> None:
        """Use files that are no longer being written."""
        only_local = self._changed_names() <= local_names(inspector.bundle)
        self._handled, self._announced = self._seen, False
        if only_local and _holds(inspector.bundle):
            self._read_decision(inspector)
            return
        self._open(inspector)

    def _open(self, inspector: Inspector) -> None:
        current = inspector.bundle
        self._opening = Opening(lambda: self._rules.open(current))

    def _forget_local(self, old: Bundle) -> None:
        """Let the next look read the local settings, whose place depends on the bundle."""
        names, handled = local_names(old), self._handled or {}
        self._handled = {
            name: state for name, state in handled.items() if name not in names
        }

    def _changed_names(self) -> set[str]:
        """Return the names of files that changed since they were handled; none before the first time."""
        if self._handled is None:
            return set()
        return {
            name
            for name in self._seen.keys() | self._handled.keys()
            if self._seen.get(name) != self._handled.get(name)
        }

    def _announce(self, inspector: Inspector) -> None:
        """Say, once, that the bundle's files are being exchanged."""
        names = self._changed_names() - local_names(inspector.bundle)
        if not names or self._announced:
            return
        self._announced = True
        path = inspector.bundle.path
        self._output.write(
            "changed",
            name=str(path),
            state="noticed",
            message=f"{path}: {_some(names)} changed; the bundle that was opened stays in use until the new files are whole "
            "and checked",
        )

    def _read_decision(self, inspector: Inspector) -> None:
        """Use the local settings that are there now."""
        old = inspector.bundle
        new = old.read_again()
        try:
            decision = new.decision
        except AnomedgeError as error:
            self._refuse("decision", inspector, error)
            return
        if not _holds(old):
            # Exchanged meanwhile; the next look sees it.
            return
        inspector.bundle = new
        if decision != old.decision:
            self._write_decision(new, old)
        elif "decision" in self._refused:
            self._write_decision(new, old, "restored")
        self._refused.discard("decision")

    def _write_decision(
        self, new: Bundle, old: Bundle, state: str = "applied"
    ) -> None:
        threshold, before = new.decision.threshold, old.decision.threshold
        pixels = {}
        if new.decision.has_map:
            pixels = {
                "pixel_threshold": new.decision.pixel_threshold,
                "old_pixel_threshold": old.decision.pixel_threshold,
            }
        self._output.write(
            "decision",
            name=str(new.local_path),
            state=state,
            message=f"the threshold is {threshold:.6g} from here on (it was {before:.6g})",
            threshold=threshold,
            old_threshold=before,
            **pixels,
        )

    def _finish(self, opening: Opening, inspector: Inspector) -> Inspector:
        """Return the new inspector if it is open; close the old one."""
        if not opening.ended:
            return inspector
        self._opening = None
        try:
            candidate = opening.result()
        except Exception as error:  # noqa: BLE001 - a runtime's own, too
            self._refuse("bundle", inspector, error)
            return inspector
        if candidate is None:
            self._write_unchanged(inspector)
            return inspector
        write_applied(
            self._output,
            candidate,
            inspector.bundle.manifest.digest,
            old_threshold=inspector.decision.threshold,
        )
        self._close_old(inspector)
        self._opened = candidate
        self._refused.clear()
        self._forget_local(inspector.bundle)
        return candidate

    def _close_old(self, inspector: Inspector) -> None:
        """Free the inspector that was in use; its failure must not stop the new one."""
        try:
            inspector.close()
        except Exception as error:  # noqa: BLE001 - a runtime's own, too
            self._warn(f"the former bundle was not freed ({error})")

    def _write_unchanged(self, inspector: Inspector) -> None:
        """Say that files that were announced or refused are those of the bundle in use."""
        self._refused.discard("bundle")
        self._output.write(
            "bundle",
            name=str(inspector.bundle.path),
            state="restored",
            message="the files are those of the bundle in use",
            digest=inspector.bundle.manifest.digest,
            threshold=inspector.decision.threshold,
        )
        self._read_decision(inspector)

    def _refuse(
        self, event: str, inspector: Inspector, error: Exception
    ) -> None:
        """Say that what is there now is not used."""
        self._refused.add(event)
        message = f"{error}; the {_IN_USE[event]} in use stays"
        self._output.write(
            event,
            name=str(inspector.bundle.path),
            state="refused",
            message=message,
            digest=inspector.bundle.manifest.digest,
            threshold=inspector.decision.threshold,
        )
        self._warn(message)


def write_applied(
    output: EventWriter, inspector: Inspector, before: str, **more: float
) -> None:
    """Write that another bundle is in use from here on.

    Args:
        output: receives the line.
        inspector: of the bundle.
        before: digest of the former bundle.
        more: further fields.
    """
    digest = inspector.bundle.manifest.digest
    output.write(
        "bundle",
        name=str(inspector.bundle.path),
        state="applied",
        message=f"the bundle is {digest[:12]} from here on (it was {before[:12]})",
        digest=digest,
        old_digest=before,
        threshold=inspector.decision.threshold,
        running_on=inspector.session.running_on,
        **more,
    )


def _holds(bundle: Bundle) -> bool:
    """Return whether the path still holds this bundle's manifest."""
    return digest_at(bundle.path) == bundle.manifest.digest


def _some(names: set[str]) -> str:
    shown = ", ".join(sorted(names)[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def _write_reloaded(
    output: EventWriter, inspector: Inspector, message: str
) -> None:
    output.write(
        "reloaded",
        name=str(inspector.bundle.local_path),
        message=f"{message}; file sinks open their files for each line",
        threshold=inspector.decision.threshold,
    )
