"""Device files of GPUs and NPUs, their kernel drivers, and whether this user may open them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from anomedge.doctor.base import Finding, Probe

__all__ = ["Graphics"]


class Graphics(Probe):
    """`/dev/dri`, `/dev/accel` and the group `render`."""

    name = "graphics"
    title = "graphics and NPU device files"
    order = 60
    root = Path("/")

    @classmethod
    def look(cls) -> Iterator[Finding]:
        """Look at files and groups; no driver is asked."""
        nodes = sorted(
            [
                *(cls.root / "dev/dri").glob("renderD*"),
                *(cls.root / "dev/accel").glob("accel*"),
            ]
        )
        if not nodes:
            text = "no /dev/dri/renderD* and no /dev/accel: no Intel GPU or NPU for this process"
            yield Finding("device files", text, "absent")
        for node in nodes:
            yield _node(node, cls.root)
        yield _render_group()


def _node(node: Path, root: Path) -> Finding:
    """Return the kernel driver of a device file, and whether it can be opened."""
    family = "accel" if node.name.startswith("accel") else "drm"
    link = root / f"sys/class/{family}" / node.name / "device/driver"
    driver = link.resolve().name if link.exists() else "unknown"
    if os.access(node, os.R_OK | os.W_OK):
        return Finding(node.name, f"kernel driver {driver}, may be opened")
    text = (
        f"kernel driver {driver}, but this user may not open it: "
        f"sudo usermod -aG render $USER, then log in again"
    )
    return Finding(node.name, text, "broken")


def _render_group() -> Finding:
    """Return whether this process is in the group `render`."""
    try:
        import grp

        number = grp.getgrnam("render").gr_gid
    except (ImportError, KeyError):
        return Finding("group render", "this system has none", "absent")
    if number in {*os.getgroups(), os.getegid()}:
        return Finding("group render", "this user is a member")
    return Finding("group render", "this user is no member", "absent")
