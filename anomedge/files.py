"""Writing all or nothing, hashing, canonical JSON and safe paths: what every file of ours is made with."""

import ctypes
import errno
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from anomedge.errors import IntegrityError, OutputError

__all__ = [
    "atomic_directory",
    "atomic_file",
    "canonical_json",
    "check_target",
    "safe_member",
    "sha256_of_bytes",
    "sha256_of_file",
]

_BLOCK = 1 << 20
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def canonical_json(value: Any) -> bytes:
    r"""The one way we write JSON: sorted keys, two spaces, UTF-8, no NaN, a final newline.

    >>> canonical_json({"b": 1, "a": [0.5]}).decode()
    '{\n  "a": [\n    0.5\n  ],\n  "b": 1\n}\n'
    """
    text = json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()


def sha256_of_bytes(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def sha256_of_file(path: Path) -> str:
    """SHA-256 of a file in hexadecimal, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def safe_member(root: Path, name: str) -> Path:
    """The path of the member `name` of the folder `root`.

    Raises:
        IntegrityError: `name` is not a plain relative path with forward slashes, or leads through a link.
    """
    pure = PurePosixPath(name)
    plain = name == str(pure) and not pure.is_absolute() and ".." not in pure.parts and name not in {"", "."}
    if not plain or "\\" in name or "\0" in name or ":" in name:
        raise IntegrityError(f"got the member {name!r}; expected a plain path inside {root}: do not use this bundle")
    path = root
    for part in pure.parts:
        path = path / part
        if path.is_symlink():
            raise IntegrityError(f"{path} is a link; expected a plain file: copy the bundle with its links resolved")
    return path


@contextmanager
def atomic_file(target: Path, *, force: bool = False) -> Iterator[Path]:
    """Yield a temporary path; when the block succeeds, its file becomes `target`, whole.

    Raises:
        OutputError: the target exists and `force` is not given, or the folder cannot be written.
    """
    _refuse_existing(target, force)
    with _translated(target):
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with _translated(target):
            temporary.chmod(0o666 & ~_umask())
            _flush(temporary)
            os.replace(temporary, target)
            _flush(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_directory(target: Path, *, force: bool = False) -> Iterator[Path]:
    """Yield a temporary folder; when the block succeeds, it becomes `target`, whole.

    An existing target is refused, or with `force` exchanged in one system call where there is one; elsewhere it is
    set aside first and put back if the second rename fails.

    Raises:
        OutputError: the target exists and `force` is not given, or the folder cannot be written.
    """
    _refuse_existing(target, force)
    with _translated(target):
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))
    try:
        yield temporary
        with _translated(target):
            _open_to_all(temporary)
            _flush_tree(temporary)
            _install(temporary, target, force)
            _flush(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_target(target: Path, *, force: bool = False) -> None:
    """Say before long work, not after it, that a target cannot be written.

    Raises:
        OutputError: the target exists and `force` is not given, or its folder cannot be written.
    """
    _refuse_existing(target, force)
    with _translated(target), tempfile.TemporaryFile(dir=target.parent):
        pass


def _refuse_existing(target: Path, force: bool) -> None:
    if not target.parent.is_dir():
        raise OutputError(f"cannot write {target}: {target.parent} is not a folder; make it first")
    if os.path.lexists(target) and not force:
        raise OutputError(f"{target} exists; expected a new name: give another, or --force to replace it")


@contextmanager
def _translated(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"cannot write {target}: {reason}; give a writable folder with free space") from error


def _install(temporary: Path, target: Path, force: bool) -> None:
    if not os.path.lexists(target):
        os.rename(temporary, target)
    elif not force:
        raise OutputError(f"{target} appeared while it was being made; the other one was kept")
    elif not _exchange(temporary, target):
        _replace_by_steps(temporary, target)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step (Linux `renameat2`); False where the system or its file system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    return bool(rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0)


def _replace_by_steps(temporary: Path, target: Path) -> None:
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".old", dir=target.parent)) / target.name
    os.rename(target, aside)
    try:
        os.rename(temporary, target)
    except OSError:
        os.rename(aside, target)
        raise
    finally:
        shutil.rmtree(aside.parent, ignore_errors=True)


def _open_to_all(folder: Path) -> None:
    """The permissions that plain creation gives; some libraries write their files for the owner alone."""
    mask = ~_umask()
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
        if error.errno != errno.EINVAL:  # some file systems cannot sync a folder
            raise
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
