"""The folder where programs of a user keep their state."""

import os
from pathlib import Path

__all__ = ["state_folder"]


def state_folder() -> Path:
    """Return anomedge in the user's state folder: $XDG_STATE_HOME, or ~/.local/state."""
    stated = os.environ.get("XDG_STATE_HOME")
    state = Path(stated) if stated else Path.home() / ".local" / "state"
    return state / "anomedge"
