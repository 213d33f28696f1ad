"""Addresses of live sources, which are never paths of a folder or file."""

from __future__ import annotations

from anomedge.station.sources.camera import CameraSource
from anomedge.station.sources.gstreamer import GStreamerSource
from anomedge.station.sources.stdin import StdinSource
from anomedge.station.sources.v4l2 import V4l2Source

__all__ = ["is_live"]

_KINDS = (CameraSource, GStreamerSource, StdinSource, V4l2Source)


def is_live(address: str) -> bool:
    """Return whether an address belongs to a live source.

    >>> [is_live(text) for text in ("0", "./0", "raw:4x4:rgb", "/dev/video0")]
    [True, False, True, True]
    """
    return any(kind.accepts(address) for kind in _KINDS)
