"""The folder where programs of a user keep their state."""

import os
from pathlib import Path

__all__ = ["state_folder"]


def state_folder() -> Path:
    """Return anomedge in the user's state folder: $XDG_STATE_HOME, or ~/.local/state.

    A relative path is ignored, as the XDG Base Directory Specification asks.
    """
    state = Path(os.environ.get("XDG_STATE_HOME", ""))
    if not state.is_absolute():
        state = Path.home() / ".local" / "state"
    return state / "anomedge"
