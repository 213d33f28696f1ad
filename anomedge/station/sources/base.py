"""Base class of frame sources, their options, and the events that they yield.

A source yields frames, unusable frames, notices and changes of its connection, in order. It ends after its last frame, or soon
after the stop flag is set. An error that prevents all further frames is raised.

To add a source, write one file in this folder, or a class in an installed package that registers the entry-point group
`anomedge.sources`. `anomedge watch` finds it and asks `accepts` whether an address is its own::

    class SerialCamera(Source):
        name = "serial"

        @classmethod
        def accepts(cls, address):
            return address.startswith("serial://")

        @classmethod
        def open(cls, address, options):
            return cls(address)

        def events(self, stop):
            ...
"""

from __future__ import annotations

import abc
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass, field, fields
from enum import Enum
from pathlib import Path
from typing import ClassVar, Literal

from anomedge.errors import InputError
from anomedge.images import Frame
from anomedge.resample.levels import Levels
from anomedge.station.sources._listing import Stamp
from anomedge.station.sources._memory import Memory

__all__ = [
    "CapturedFrame",
    "ConnectionChange",
    "FramePolicy",
    "Order",
    "Source",
    "SourceEvent",
    "SourceNotice",
    "SourceOptions",
    "UnusableFrame",
]


@dataclass(frozen=True, eq=False)
class CapturedFrame:
    """A frame.

    Attributes:
        number: index of the frame within its source, from 1; unusable and dropped frames are counted too.
        name: file name, or the source's title with "#" and the number.
        pixels: uint8 (H, W, 3), RGB.
        path: absolute path of the picture; None for a camera or video.
        time: time of capture, in seconds since 1970.
        stamp: version of the picture's file; None for a camera or video.
    """

    number: int
    name: str
    pixels: Frame
    path: Path | None = None
    time: float = field(default_factory=time.time)
    stamp: Stamp | None = None


@dataclass(frozen=True)
class UnusableFrame:
    """A frame that cannot be used, and the reason; the source goes on with the next frame."""

    number: int
    name: str
    message: str
    time: float = field(default_factory=time.time)
    stamp: Stamp | None = None


@dataclass(frozen=True)
class ConnectionChange:
    """The connection was lost ("waiting") or is restored ("resumed").

    Attributes:
        event: name of the event in the output lines.
        name: title of the source.
        message: reason.
        seconds: time until the next attempt to connect; 0 if restored.
        time: in seconds since 1970.
    """

    event: Literal["waiting", "resumed"]
    name: str
    message: str
    seconds: float
    time: float = field(default_factory=time.time)


@dataclass(frozen=True)
class SourceNotice:
    """Files that give no frame: "missed" before they were read, or "ignored" because they are no pictures.

    Attributes:
        event: name of the event in the output lines.
        name: one of the files.
        message: reason.
        count: number of files of this notice.
        time: in seconds since 1970.
    """

    event: Literal["missed", "ignored"]
    name: str
    message: str
    count: int
    time: float = field(default_factory=time.time)


SourceEvent = CapturedFrame | UnusableFrame | SourceNotice | ConnectionChange


class Order(str, Enum):
    """Order of the pictures of a folder."""

    NAME = "name"
    TIME = "time"


class FramePolicy(str, Enum):
    """Frames of a live source that come faster than they are inspected."""

    LATEST = "latest"
    ALL = "all"


@dataclass(frozen=True)
class SourceOptions:
    """Options of `anomedge watch` that only some sources take; a source lists its own in `Source.takes`.

    Args:
        once: end after the pictures that are present at the start.
        new: skip the pictures that are present at the start.
        retries: consecutive attempts to reconnect before giving up; None for no limit.
        poll: interval between two looks, in seconds; ignored by sources that do not poll. None for the source's own, with
            notifications of the system where it has them.
        order: order of the pictures: by modification time, or by name.
        settle: time for which a file must be unchanged, in seconds; 0 for files that appear by a rename, None for `poll`.
        levels: the bundle's, of pictures with more than 8 bits per channel; None for 8 bits.
        frames: drop the oldest frames of a live source while the queue is full, or wait; None for the source's own.
        read_timeout: longest time between two frames of a live source, in seconds; 0 for no limit, None for 5 seconds.
        first_frame: longest time from opening a live source to its first frame; 0 for no limit, None for 10 seconds.
    """

    once: bool = False
    new: bool = False
    retries: int | None = None
    poll: float | None = None
    order: Order = Order.TIME
    settle: float | None = None
    levels: Levels | None = None
    frames: FramePolicy | None = None
    read_timeout: float | None = None
    first_frame: float | None = None

    def given(self) -> list[str]:
        """Return the names of the user's options that differ from their defaults, `poll` left out."""
        others = {"poll", "levels"}
        checked = [
            option for option in fields(self) if option.name not in others
        ]
        return [
            option.name
            for option in checked
            if getattr(self, option.name) != option.default
        ]


class Source(abc.ABC):
    """A source of frames.

    Attributes:
        name: name of this kind of source, unique.
        takes: names of the `SourceOptions` that this kind of source takes; with "levels", it reads deep pictures.
        address_help: forms of its addresses, for messages.
        live: frames keep coming when none are taken, so the queue has to drop old ones.
        title: address for display and logs, without user names and passwords.
        folder: absolute path of the folder that holds the frames' files; None if frames have no files.
        missed: number of pictures that were gone, or changed again, before they could be read.
        ignored: number of files and folders seen that are no pictures.
    """

    name: ClassVar[str]
    takes: ClassVar[frozenset[str]] = frozenset()
    address_help: ClassVar[str] = ""
    live: bool = False
    title: str
    folder: Path | None = None
    missed: int = 0
    ignored: int = 0

    @classmethod
    @abc.abstractmethod
    def accepts(cls, address: str) -> bool:
        """Return whether the address belongs to this kind of source; open no device and import no driver."""

    @classmethod
    @abc.abstractmethod
    def open(cls, address: str, options: SourceOptions) -> Source:
        """Return a source that reads from the address; it may connect now or in `events`.

        Raises:
            InputError: the address cannot be used.
            RuntimeMissing: the driver is not installed.
        """

    def remember(self, memory: Memory) -> None:
        """Treat the files of earlier runs as read; keep the memory informed. Call it before `events`.

        Raises:
            InputError: frames of this source cannot be recognised in a later run.
        """
        del memory
        raise InputError(
            f"got --state with {self.title}, a {self.name}; expected a source that recognises its files after a restart, such "
            "as a folder: leave --state out"
        )

    @abc.abstractmethod
    def events(
        self, stop: threading.Event
    ) -> Generator[SourceEvent, None, None]:
        """Yield frames, unusable frames, notices and connection changes, in order, until the last frame or until `stop` is set.

        Wait with `stop.wait(seconds)`, never with `time.sleep`, so that a stop request is served at once.

        Raises:
            InputError: the address holds no frames.
            SourceLost: no further frame can be read. An `OSError` counts as one.
        """
