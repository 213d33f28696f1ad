"""Source of the frames of a video file."""

from __future__ import annotations

import threading
from collections.abc import Generator
from pathlib import Path

from anomedge.errors import InputError
from anomedge.images import SUFFIXES
from anomedge.station.sources import _opencv
from anomedge.station.sources._addresses import is_live
from anomedge.station.sources.base import Source, SourceEvent, SourceOptions

__all__ = ["VideoSource"]


class VideoSource(Source):
    """Every frame of a video file, then the end. OpenCV applies the rotation that the file states.

    Raises:
        InputError: the file is a picture.
        RuntimeMissing: OpenCV is not installed.
    """

    name = "video"
    address_help = "a video file"

    def __init__(self, path: Path) -> None:
        if path.suffix.lower() in SUFFIXES:
            raise InputError(
                f"got the picture {path}; expected a video, a folder or a camera: use anomedge predict"
            )
        self.path = path
        self.title = path.name
        self._opencv = _opencv.load_opencv()

    @classmethod
    def accepts(cls, address: str) -> bool:
        """Return whether the address is an existing file and no live source's."""
        return Path(address).is_file() and not is_live(address)

    @classmethod
    def open(cls, address: str, options: SourceOptions) -> VideoSource:
        """Return the source of a video file."""
        del options  # none apply
        return cls(Path(address))

    def events(
        self, stop: threading.Event
    ) -> Generator[SourceEvent, None, None]:
        """Yield every frame.

        Raises:
            InputError: OpenCV cannot open the file, or finds no frame in it.
        """
        capture = self._opencv.VideoCapture(str(self.path))
        number = 0
        try:
            while not stop.is_set():
                number += 1
                frame = _opencv.next_frame(
                    self._opencv, capture, number, self.title
                )
                if frame is None:
                    break
                yield frame
        finally:
            capture.release()
        if number == 1 and not stop.is_set():
            raise InputError(
                f"{self.path}: OpenCV finds no frame in it; expected a video: convert it, or check it"
            )
