"""Open a bundle that shall replace the one in use, in a thread of its own, and check that it can."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from anomedge.bundle import Bundle
from anomedge.errors import BundleError
from anomedge.inspector import Inspector
from anomedge.resample.outside_resize import stated_size

__all__ = ["CandidateRules", "Opening"]


@dataclass(frozen=True)
class CandidateRules:
    """Conditions that a new bundle must meet at a station that runs.

    Args:
        options: options of `Inspector.open`, those of the bundle in use.
        stretch: frames of another size are stretched, so the bundle may have another size.
        needs_map: overlays are saved, so the bundle must give a map.
    """

    options: Mapping[str, object] = field(default_factory=dict)
    stretch: bool = False
    needs_map: bool = False

    def open(self, current: Bundle) -> Inspector | None:
        """Open the bundle that lies now at the path of the one in use; run one frame.

        Returns:
            The inspector, or None if the path holds the bundle in use.

        Raises:
            AnomedgeError: it is not whole, or cannot be used here.
        """
        found = Bundle.open(current.path, current.local_folder)
        if found.manifest.digest == current.manifest.digest:
            return None
        self._check(found, current)
        inspector = Inspector.open(found, **self.options)  # type: ignore[arg-type]
        try:
            _run_frame(inspector)
        except BaseException:
            inspector.close()
            raise
        return inspector

    def _check(self, found: Bundle, current: Bundle) -> None:
        """Refuse a bundle that the source and the options of the station do not fit."""
        got, expected = (
            stated_size(bundle.manifest.framing) for bundle in (found, current)
        )
        if got not in {None, expected} and not self.stretch:
            raise BundleError(
                f"{found.path} takes frames of {_size(got)}; expected {_size(expected)}, as the bundle in use: restart, or "
                "give --stretch"
            )
        if found.manifest.levels != current.manifest.levels:
            raise BundleError(
                f"{found.path} has other levels for pictures of more than 8 bits than the bundle in use; restart to use it"
            )
        if self.needs_map and not found.manifest.has_map:
            raise BundleError(
                f"{found.path} gives no anomaly map, which --save needs; restart without --save to use it"
            )


class Opening:
    """Runs a function in a thread of its own.

    Args:
        function: opens a candidate.
    """

    def __init__(self, function: Callable[[], Inspector | None]) -> None:
        self._function = function
        self._found: Inspector | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(
            target=self._run, name="new bundle", daemon=True
        )
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether the function has ended."""
        return not self._thread.is_alive()

    def result(self, timeout: float | None = None) -> Inspector | None:
        """Wait for the function; return its result, or None after the timeout; raise its exception."""
        self._thread.join(timeout)
        if self._error is not None:
            raise self._error
        return self._found

    def _run(self) -> None:
        try:
            self._found = self._function()
        except BaseException as error:  # noqa: BLE001 - `result` raises it
            self._error = error


def _run_frame(inspector: Inspector) -> None:
    """Inspect a grey frame: a runtime may open a graph that it cannot run."""
    manifest = inspector.bundle.manifest
    height, width = stated_size(manifest.framing) or manifest.geometry.size
    inspector.predict_batch([np.full((height, width, 3), 127, np.uint8)])


def _size(size: tuple[int, int] | None) -> str:
    return "any size" if size is None else f"{size[0]}x{size[1]}"
