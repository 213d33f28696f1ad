"""Sources of frames: one module per kind of source; installed packages add their own.

Frames are RGB, uint8 (H, W, 3). A folder's pictures are decoded by `anomedge.images` (EXIF rotation is applied, more
than 8 bits per channel are refused unless the bundle has levels). Frames of cameras and videos are taken as OpenCV
decodes them: EXIF is ignored, and colours went through the stream's codec, so fit a detector for a camera on frames of
that camera. Raw frames, of a GStreamer pipeline or of standard input, are converted by `_pixel_format`.

Cameras, pipelines and standard input are live sources: `_live` holds their rule for reconnection, time limits and
dropped frames.
"""

from __future__ import annotations

from anomedge.errors import InputError
from anomedge.registry import Registry
from anomedge.station.sources.base import (
    CapturedFrame,
    ConnectionChange,
    FramePolicy,
    Order,
    Source,
    SourceEvent,
    SourceNotice,
    SourceOptions,
    UnusableFrame,
)

__all__ = [
    "SOURCES",
    "CapturedFrame",
    "ConnectionChange",
    "FramePolicy",
    "Order",
    "Source",
    "SourceEvent",
    "SourceNotice",
    "SourceOptions",
    "UnusableFrame",
    "address_forms",
    "open_source",
]

SOURCES: Registry[Source] = Registry(
    package=__name__, group="anomedge.sources", kind="source", base=Source
)
"""All kinds of sources."""


def open_source(address: str, options: SourceOptions) -> Source:
    """Return the source of an address.

    Raises:
        InputError: no source accepts the address, several do, or the source does not take an option.
        RuntimeMissing: the source's driver is not installed.
    """
    kind = _source_of(address)
    _refuse_foreign_options(kind, address, options)
    if options.levels is not None and "levels" not in kind.takes:
        raise InputError(
            f"got {address}, a {kind.name}, whose frames have 8 bits a channel; expected a folder of pictures with more, or raw "
            f"frames (gst:, raw:): the bundle's levels are {options.levels.low} to {options.levels.high}"
        )
    return kind.open(address, options)


def address_forms() -> str:
    """Return the address forms of all sources, as one sentence part.

    >>> address_forms()
    'a camera number or a URL such as rtsp://camera/1, a folder, gst:PIPELINE, raw:WIDTHxHEIGHT:FORMAT, /dev/videoN, a video file'
    """
    members = SOURCES.members().values()
    return ", ".join(kind.address_help or kind.name for kind in members)


def _source_of(address: str) -> type[Source]:
    members = SOURCES.members().values()
    accepting = [kind for kind in members if kind.accepts(address)]
    if len(accepting) == 1:
        return accepting[0]
    if accepting:
        names = " and ".join(kind.name for kind in accepting)
        raise InputError(
            f"got {address}, which the sources {names} accept; expected one of them: "
            "use a form of address that only one accepts, or uninstall the other"
        )
    faults = "".join(f"; {fault}" for fault in SOURCES.faults().values())
    raise InputError(f"got {address}; expected {address_forms()}{faults}")


def _refuse_foreign_options(
    kind: type[Source], address: str, options: SourceOptions
) -> None:
    for name in options.given():
        if name not in kind.takes:
            members = SOURCES.members().values()
            takers = [each.name for each in members if name in each.takes]
            option = f"--{name.replace('_', '-')}"
            raise InputError(
                f"got {option} with {address}, a {kind.name}; expected a {' or '.join(takers)}: leave {option} out"
            )
