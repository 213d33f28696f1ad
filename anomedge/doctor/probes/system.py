"""Board, JetPack, operating system and Python."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from anomedge.doctor.base import Finding, Probe

__all__ = ["System", "jetpack"]

_JETPACKS = {"32": "4", "35": "5", "36": "6", "38": "7"}
"""JetPack by the major number of Jetson Linux (L4T): NVIDIA, Jetson Linux Archive."""
_RELEASE = re.compile(r"R(\d+) .*REVISION: ([\d.]+)")


class System(Probe):
    """The board's name, its JetPack or distribution, and Python."""

    name = "system"
    title = "system"
    order = 0
    root = Path("/")

    @classmethod
    def look(cls) -> Iterator[Finding]:
        """Read release files; no vendor is asked."""
        yield Finding("machine", f"{platform.machine()}, {_distribution()}")
        model = _text(cls.root / "proc/device-tree/model")
        if model:
            yield Finding("board", model)
        release = _text(cls.root / "etc/nv_tegra_release")
        if release:
            yield Finding("JetPack", jetpack(release))
        else:
            yield Finding("JetPack", "no Jetson", "absent")
        yield Finding("Python", f"{sys.version.split()[0]}, {sys.executable}")


def jetpack(release: str) -> str:
    """Return JetPack and Jetson Linux from the first line of `/etc/nv_tegra_release`.

    >>> jetpack("# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic")
    'JetPack 6, Jetson Linux 36.4.3'
    """
    found = _RELEASE.search(release)
    if found is None:
        return release.splitlines()[0][:120]
    major = _JETPACKS.get(found[1])
    known = f"JetPack {major}" if major else "unknown JetPack"
    return f"{known}, Jetson Linux {found[1]}.{found[2]}"


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.platform()


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip("\0\n ")
    except OSError:
        return ""
