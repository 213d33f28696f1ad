"""Where a device's settings of a bundle lie.

The first that applies:

1. a folder that the user gives: `DIR/DIGEST/local.json`, and nowhere else;
2. a bundle that can be written: `local.json` in it, and nowhere else;
3. a bundle that cannot be written: `STATE/local/DIGEST/local.json`, where STATE is the user's state folder. Without
   that file, a `local.json` in the bundle is read.

DIGEST is the first 16 digits of the bundle's digest: an exchanged bundle has its own settings, and the earlier ones are
in force again when the earlier bundle comes back. Copies of one bundle share them.
"""

from __future__ import annotations

import os
from pathlib import Path

from anomedge.bundle.local_settings import LOCAL
from anomedge.files import state_folder

__all__ = ["local_files", "local_source", "local_target"]

_DIGITS = 16


def local_target(root: Path, digest: str, given: Path | None) -> Path:
    """Return the path that settings are written to.

    Args:
        root: the bundle.
        digest: the bundle's.
        given: folder for settings; None for the default.
    """
    if given is None and os.access(root, os.W_OK):
        return root / LOCAL
    folder = given or state_folder() / "local"
    return folder / digest[:_DIGITS] / LOCAL


def local_source(root: Path, digest: str, given: Path | None) -> Path:
    """Return the path that settings are read from, whether the file exists or not; arguments as in `local_target`."""
    files = local_files(root, digest, given)
    return next((path for path in files if os.path.lexists(path)), files[0])


def local_files(root: Path, digest: str, given: Path | None) -> list[Path]:
    """Return the paths that settings may be read from, the first existing one first; arguments as in `local_target`."""
    target = local_target(root, digest, given)
    beside = root / LOCAL
    if given is not None or target == beside:
        return [target]
    return [target, beside]
