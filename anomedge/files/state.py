"""The folder where programs of a user keep their state."""

import os
from pathlib import Path

from anomedge.errors import InputError

__all__ = ["state_folder"]


def state_folder() -> Path:
    """Return anomedge in the user's state folder: $XDG_STATE_HOME, or ~/.local/state.

    A relative path is ignored, as the XDG Base Directory Specification asks.

    Raises:
        InputError: no such variable, and the user has no home folder. No other folder is taken: thresholds that lie in the
            right one would be ignored.
    """
    state = Path(os.environ.get("XDG_STATE_HOME", ""))
    if not state.is_absolute():
        state = _home() / ".local" / "state"
    return state / "anomedge"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        raise InputError(
            "got a user without a home folder, and no XDG_STATE_HOME; expected a folder for thresholds and spools: "
            "set XDG_STATE_HOME or HOME to an absolute path, or give the folders with --local and --spool"
        ) from error
