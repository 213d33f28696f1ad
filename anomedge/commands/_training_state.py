"""The folder beside a model that holds the state of its training until the model is written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from anomedge.errors import OutputError

__all__ = ["check_state", "remove_state", "resumable", "training_state"]

_ENDING = ".safetensors"


def training_state(output: Path) -> Path:
    """Return the file of the state of a model's training.

    >>> training_state(Path("part.safetensors")).as_posix()
    'part.training/state.safetensors'
    """
    stem = output.name.removesuffix(_ENDING)
    return output.with_name(f"{stem}.training") / f"state{_ENDING}"


@contextmanager
def resumable(state: Path | None) -> Iterator[None]:
    """Tell how to continue if a signal stops the block, which places the threshold after the training as well."""
    try:
        yield
    except BaseException as stop:
        is_told = isinstance(stop, Exception) or hasattr(stop, "__notes__")
        if state is not None and state.exists() and not is_told:
            stop.add_note(
                f"the training is stored in {state.parent}: run the same command with --resume to continue"
            )
        raise


def check_state(state: Path) -> None:
    """Check that the folder of a state, if there is one, holds nothing else.

    Raises:
        OutputError: it holds other files, or is none.
    """
    folder = state.parent
    if not os.path.lexists(folder):
        return
    if folder.is_symlink() or not folder.is_dir():
        raise OutputError(
            f"{folder} is a link or a file; expected a folder for the state of the training, or nothing: move it away"
        )
    others = [path.name for path in folder.iterdir() if not _is_own(path)]
    if others:
        raise OutputError(
            f"{folder} holds {sorted(others)[0]!r}, which no training wrote; expected its states alone: "
            f"move that file away"
        )


def remove_state(state: Path) -> None:
    """Remove the folder of a state.

    Raises:
        OutputError: the folder cannot be removed, or holds other files.
    """
    check_state(state)
    folder = state.parent
    if not folder.exists():
        return
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise OutputError(
            f"cannot remove {folder} ({error.strerror}); expected a folder that can be written"
        ) from error


def _is_own(path: Path) -> bool:
    """Return whether a path has the name of a state, or of a temporary file of one."""
    name = path.name.removeprefix(".")
    is_file = path.is_file() and not path.is_symlink()
    return is_file and name.startswith(("state.", "fold-"))
