"""Record file access (Python's audit events, inotify), changes of folders (snapshots) and peak memory of a piece of code."""

import ctypes
import os
import stat
import struct
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["FileWatch", "audited", "begin_peak", "peak_growth", "snapshot"]

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_NEVER = (
    "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown", "os.utime",
    "os.setxattr", "os.removexattr", "os.system", "os.exec", "os.fork", "os.posix_spawn", "subprocess.Popen", "shutil.", "tempfile.",
    "socket.connect", "socket.bind", "pickle.find_class", "webbrowser.open", "urllib.Request",
)  # fmt: skip
_LISTS = ("open", "os.listdir", "os.scandir", "ctypes.dlopen")
_IN_OPEN, _IN_MODIFY, _IN_NONBLOCK = 0x20, 0x2, 0o4000
_EVENT = struct.Struct("iIII")

_found: list[str] | None = None
_inside = ""
_library = tuple(
    {
        os.path.realpath(p)
        for p in (
            *sys.path,
            sys.prefix,
            sys.base_prefix,
            *sysconfig.get_paths().values(),
        )
        if p
    }
    | {
        "/proc",
        "/sys",
        "/dev/null",
        "/dev/urandom",
        "/etc/localtime",
        "/usr/share/zoneinfo",
        "/lib",
        "/usr/lib",
        "/etc/ld.so.cache",
    }
    | {str(Path(__file__).resolve().parent.parent / "anomedge")}
)


@contextmanager
def audited(inside: Path) -> Iterator[list[str]]:
    """Collect actions of Python code that a reader of the folder `inside` does not need.

    These are: changes of a file system, started programs, class look-ups of pickles, and reads of files or folders that
    are neither inside nor part of the interpreter. Links are resolved first.
    """
    global _found, _inside
    _inside, _found = os.path.realpath(inside), []
    try:
        yield _found
    finally:
        _found = None


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _found is None:
        return
    if event.startswith(_NEVER):
        _found.append(f"{event} {arguments[:2]}"[:300])
    elif event in _LISTS and isinstance(
        arguments[0], (str, bytes, os.PathLike)
    ):
        path = (
            os.path.realpath(os.fsdecode(arguments[0]))
            if "\0" not in os.fsdecode(arguments[0])
            else ""
        )
        writes = (
            event == "open"
            and bool((arguments[2] or 0) & _WRITES)
            and path != "/dev/null"
        )
        within = _under(path, (_inside,))
        if (
            writes
            or (event == "ctypes.dlopen" and within)
            or not (within or _under(path, _library))
        ):
            _found.append(
                f"{event}{' for writing' if writes else ''} {path}"[:300]
            )


def _under(path: str, folders: tuple[str, ...]) -> bool:
    return any(
        path == folder or path.startswith(f"{folder}/") for folder in folders
    )


sys.addaudithook(_hook)


class FileWatch:
    """Detects that any code, a vendor's C++ included, opened one of some files or folders (Linux)."""

    def __init__(self, paths: list[Path]) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._handle = libc.inotify_init1(_IN_NONBLOCK)
        self._names = {
            libc.inotify_add_watch(
                self._handle, os.fsencode(p), _IN_OPEN | _IN_MODIFY
            ): str(p)
            for p in paths
        }
        if self._handle < 0 or -1 in self._names:
            raise OSError(
                ctypes.get_errno(),
                "inotify is not to be had here, so reads by native code would go unseen",
            )

    def opened(self) -> list[str]:
        """Return the paths opened since the last call."""
        try:
            data = os.read(self._handle, 1 << 16)
        except BlockingIOError:
            return []
        found, place = set(), 0
        while place < len(data):
            watch, _, _, length = _EVENT.unpack_from(data, place)
            place += _EVENT.size + length
            found.add(self._names.get(watch, "?"))
        return sorted(found)


def snapshot(root: Path) -> dict[str, tuple[int, ...]]:
    """Return kind, mode, size and change time of everything below a folder; links are not followed."""
    entries = {}
    for folder, folders, files, handle in os.fwalk(root):
        for name in [*folders, *files]:
            found = os.stat(name, dir_fd=handle, follow_symlinks=False)
            size = 0 if stat.S_ISDIR(found.st_mode) else found.st_size
            entries[f"{folder}/{name}"] = (
                found.st_mode,
                size,
                found.st_mtime_ns,
                found.st_ino,
            )
    return entries


def begin_peak() -> int:
    """Reset the peak of this process's memory; return its current memory in bytes (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def peak_growth(before: int) -> int:
    """Return the rise of peak memory above `before`, in bytes."""
    return _status("VmHWM") - before


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) << 10
    return 0
