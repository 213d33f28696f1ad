"""Write files and folders atomically: the whole content appears under its name, or nothing does."""

import ctypes
import errno
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from anomedge.errors import AnomedgeError, OutputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "NO_SPACE",
    "atomic_directory",
    "atomic_file",
    "check_target",
    "is_temporary_of",
    "remove_file",
    "sweep_folder",
]

_AT_FDCWD = -100
_RENAME_NOREPLACE, _RENAME_EXCHANGE = 1, 2
_TEMPORARY, _ASIDE = ".tmp", ".old"
_LEAST_AGE = 10.0  # generous bound on the seconds between creating a temporary file and locking it
_LEAST_FREE = 1 << 16
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Numbers of the system's errors of a full disk."""


def _read_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


_UMASK = _read_umask()  # read once: reading sets it to 0 briefly, which a process started by another thread would inherit


@contextmanager
def atomic_file(
    target: Path, *, force: bool = False, sweep: bool = True
) -> Iterator[Path]:
    """Yield a temporary path; when the block succeeds, its file becomes `target`, whole.

    Args:
        target: the file to write.
        force: replace an existing file.
        sweep: first remove temporary files of `target` that a killed process left. This lists the folder; to write many
            files into one folder, call `sweep_folder` once and pass False.

    Raises:
        OutputError: the target exists and `force` is not given, or the folder cannot be written, is full or vanishes.
    """
    _refuse_existing(target, force)
    with _translated(target):
        if sweep:
            _sweep(target)
        handle, name = tempfile.mkstemp(
            prefix=f".{target.name}.", suffix=_TEMPORARY, dir=target.parent
        )
    temporary = Path(name)
    try:
        _lock(handle)
        with _space_errors_translated(target, temporary):
            yield temporary
        with _translated(target):
            temporary.chmod(0o666 & ~_UMASK)
            _flush(temporary)
            if force:
                os.replace(temporary, target)
            else:
                _move(temporary, target)
            _flush(target.parent)
    finally:
        os.close(handle)
        _remove(temporary)


@contextmanager
def atomic_directory(target: Path, *, force: bool = False) -> Iterator[Path]:
    """Yield a temporary folder; when the block succeeds, it becomes `target`, whole.

    An existing target is refused, or with `force` exchanged in one system call where there is one; elsewhere it is
    set aside first and put back if the second rename fails.

    Raises:
        OutputError: the target exists and `force` is not given, or the folder cannot be written, is full or vanishes.
    """
    _refuse_existing(target, force)
    with _translated(target):
        _sweep(target)
        temporary = Path(
            tempfile.mkdtemp(
                prefix=f".{target.name}.", suffix=_TEMPORARY, dir=target.parent
            )
        )
        handle = os.open(temporary, os.O_RDONLY) if fcntl else None
    try:
        _lock(handle)
        with _space_errors_translated(target, temporary):
            yield temporary
        with _translated(target):
            _open_to_all(temporary)
            _flush_tree(temporary)
            _install(temporary, target, force)
            _flush(target.parent)
    finally:
        if handle is not None:
            os.close(handle)
        _remove(temporary)


def is_temporary_of(name: str, target: str) -> bool:
    """Whether `name` has the form of `atomic_file`'s temporary files for a file named `target`.

    >>> is_temporary_of(".local.json.a1b2c3_d.tmp", "local.json")
    True
    """
    return _made_for(target, _TEMPORARY).fullmatch(name) is not None


def remove_file(target: Path) -> None:
    """Remove a file, if it exists, and its abandoned temporary files; flush the folder to the disk.

    Raises:
        OutputError: the file cannot be removed.
    """
    with _translated(target):
        _sweep(target)
        target.unlink(missing_ok=True)
        _flush(target.parent)


def check_target(target: Path, *, force: bool = False) -> None:
    """Check before long work that a target can be written.

    Raises:
        OutputError: the target exists and `force` is not given, or its folder cannot be written.
    """
    _refuse_existing(target, force)
    with _translated(target), tempfile.TemporaryFile(dir=target.parent):
        pass


def _refuse_existing(target: Path, force: bool) -> None:
    if not target.parent.is_dir():
        raise OutputError(
            f"cannot write {target}: {target.parent} is not a folder; make it first"
        )
    if os.path.lexists(target) and not force:
        raise OutputError(
            f"{target} exists; expected a new name: give another, or --force to replace it"
        )


@contextmanager
def _translated(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"cannot write {target}: {reason}; give a writable folder with free space"
        ) from error


@contextmanager
def _space_errors_translated(target: Path, temporary: Path) -> Iterator[None]:
    """Convert any library's error to an `OutputError` if the disk is full or the folder is gone."""
    try:
        yield
    except Exception as error:
        if not temporary.exists():
            raise OutputError(
                f"cannot write {target}: its folder vanished meanwhile; make it again, or give another"
            ) from error
        if _is_about_space(error, temporary):
            raise OutputError(
                f"cannot write {target}: no space left, or a limit on file sizes; free some, or give another folder"
            ) from error
        raise


def _is_about_space(error: BaseException | None, temporary: Path) -> bool:
    while error is not None:
        if isinstance(error, OSError) and error.errno in NO_SPACE:
            return True
        if "No space left" in str(error) or "File too large" in str(error):
            return True
        if (
            not isinstance(error, AnomedgeError)
            and shutil.disk_usage(temporary.parent).free < _LEAST_FREE
        ):
            return True
        error = error.__cause__ or error.__context__
    return False


def _lock(handle: int | None) -> None:
    """Mark a temporary file or folder as in use for as long as this process lives."""
    if fcntl and handle is not None:
        with suppress(OSError):  # some network file systems have no locks
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _sweep(target: Path) -> None:
    """Remove temporary files of `target` that a killed process left; restore a target that it had set aside."""
    if not fcntl:
        return
    name = _made_for(target.name, _TEMPORARY, _ASIDE)
    for path in target.parent.iterdir():
        if name.fullmatch(path.name) and _is_abandoned(path):
            if (
                path.suffix == _ASIDE
                and not os.path.lexists(target)
                and (path / target.name).exists()
            ):
                os.rename(path / target.name, target)
            _remove(path)


def _made_for(target: str, *suffixes: str) -> re.Pattern[str]:
    """Return a pattern of the names that `tempfile` makes for `target` with one of these suffixes."""
    endings = "|".join(re.escape(suffix) for suffix in suffixes)
    return re.compile(re.escape(f".{target}.") + f"[a-z0-9_]{{8}}({endings})")


def sweep_folder(folder: Path, ending: str) -> None:
    """Remove abandoned temporary files of `atomic_file` for targets in `folder` whose names end with `ending`.

    Raises:
        OutputError: the folder cannot be listed.
    """
    if not fcntl:
        return
    name = re.compile(
        rf"\..+{re.escape(ending)}\.[a-z0-9_]{{8}}{re.escape(_TEMPORARY)}",
        re.DOTALL,
    )
    with _translated(folder):
        found = [path for path in folder.iterdir() if name.fullmatch(path.name)]
    for path in found:
        if _is_abandoned(path):
            _remove(path)


def _is_abandoned(path: Path) -> bool:
    """Return whether no process holds its lock, and it is old enough that its creator would have locked it."""
    try:
        if path.is_symlink() or time.time() - path.stat().st_mtime < _LEAST_AGE:
            return False
        # Without O_NONBLOCK, opening a FIFO waits for its writer.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def _remove(path: Path) -> None:
    """Remove a temporary file or folder; start again if a signal interrupts."""
    try:
        _discard(path)
    except BaseException:
        _discard(path)
        raise


def _discard(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _install(temporary: Path, target: Path, force: bool) -> None:
    if not force:
        _move(temporary, target)
    elif not _rename(temporary, target, _RENAME_EXCHANGE):
        if os.path.lexists(target):
            _replace_by_steps(temporary, target)
        else:
            _move(temporary, target)


def _move(temporary: Path, target: Path) -> None:
    """Rename to a name that must be free; atomic if the system supports it, so that only one of two processes succeeds."""
    if _rename(temporary, target, _RENAME_NOREPLACE):
        return
    if os.path.lexists(target):
        raise OutputError(
            f"{target} appeared while it was being made; the other one was kept"
        )
    os.rename(temporary, target)


def _rename(one: Path, other: Path, flags: int) -> bool:
    """Call Linux `renameat2`; return False if the system, the file system or the flags prevent it."""
    if not sys.platform.startswith("linux"):
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    return bool(
        rename(
            _AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), flags
        )
        == 0
    )


def _replace_by_steps(temporary: Path, target: Path) -> None:
    aside = (
        Path(
            tempfile.mkdtemp(
                prefix=f".{target.name}.", suffix=_ASIDE, dir=target.parent
            )
        )
        / target.name
    )
    os.rename(target, aside)
    try:
        os.rename(temporary, target)
    except OSError:
        os.rename(aside, target)
        raise
    finally:
        shutil.rmtree(aside.parent, ignore_errors=True)


def _open_to_all(folder: Path) -> None:
    """Set the permissions of normal file creation; some libraries create files that only the owner can read."""
    mask = ~_UMASK
    folder.chmod(0o777 & mask)
    for path in folder.rglob("*"):
        path.chmod((0o777 if path.is_dir() else 0o666) & mask)


def _flush_tree(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        _flush(path)
    _flush(folder)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some file systems cannot sync a folder.
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(handle)
