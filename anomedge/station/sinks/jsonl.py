"""Sink that appends each event to a file, as one JSON object per line."""

from __future__ import annotations

import json

from anomedge.station.sinks._files import LineFile, checked_path
from anomedge.station.sinks.base import Event, Sink

__all__ = ["JsonLinesSink"]


class JsonLinesSink(Sink):
    """A file of JSON lines, with the keys of the output lines.

    The file is opened for each line: a log rotation needs no signal. A full disk leaves no torn line.

    Raises:
        InputError: the path is a folder or in a missing one.
    """

    name = "jsonl"
    address_help = "a file NAME.jsonl"

    def __init__(self, path: str) -> None:
        self._file = LineFile(checked_path(path))
        self.title = str(self._file.path)

    @classmethod
    def accepts(cls, address: str) -> bool:
        """Return whether the address is a path that ends with .jsonl."""
        return "://" not in address and address.endswith(".jsonl")

    @classmethod
    def open(cls, address: str) -> JsonLinesSink:
        """Return the sink of a file."""
        return cls(address)

    def send(self, event: Event) -> None:
        """Append a line.

        Raises:
            SinkDown: the file cannot be written.
        """
        self._file.append(json.dumps(dict(event)).encode() + b"\n")

    def idle(self) -> None:
        """Write the last lines to the disk.

        Raises:
            SinkDown: they cannot be written.
        """
        self._file.sync()
