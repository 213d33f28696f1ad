"""Frames decoded by OpenCV. It is imported when a camera or video is opened, not before."""

from __future__ import annotations

import abc
import threading
from typing import Any

import numpy as np

from anomedge.errors import RuntimeMissing
from anomedge.extras import install_advice
from anomedge.station.sources._connection import Disconnected, Shot, Shots
from anomedge.station.sources._live import LiveSource
from anomedge.station.sources.base import (
    CapturedFrame,
    SourceOptions,
    UnusableFrame,
)

__all__ = ["OpenCvSource", "load_opencv", "next_frame"]


def load_opencv() -> Any:
    """Import OpenCV.

    Raises:
        RuntimeMissing: it is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise RuntimeMissing(
            f"OpenCV cannot be imported ({error}); expected it for cameras and videos: {install_advice('camera')}"
        ) from error
    return cv2


class OpenCvSource(LiveSource):
    """A live source whose frames OpenCV captures."""

    def __init__(self, title: str, options: SourceOptions | None) -> None:
        super().__init__(title, options)
        self._opencv = load_opencv()

    @abc.abstractmethod
    def capture(self) -> Any:
        """Open the device and return the capture of OpenCV; its own errors count as a lost connection.

        Raises:
            Disconnected: the device cannot be opened.
            InputError: no attempt can succeed.
        """

    def frames(self, number: int, stop: threading.Event) -> Shots:
        """Open the device and yield its frames until it fails or `stop` is set; see `LiveSource.frames`."""
        try:
            capture = self.capture()
        except self._opencv.error as error:
            raise Disconnected("the camera cannot be opened") from error
        try:
            while not stop.is_set():
                number += 1
                frame = next_frame(self._opencv, capture, number, self.title)
                if frame is None:
                    raise Disconnected("the camera gives no frame")
                yield frame
        finally:
            capture.release()


def next_frame(cv: Any, capture: Any, number: int, title: str) -> Shot | None:
    """Read the next frame of a capture and convert it to RGB; return None if the capture gives none."""
    try:
        got, pixels = capture.read()
    except cv.error:
        return None
    if not got or pixels is None:
        return None
    name = f"{title}#{number}"
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        return UnusableFrame(
            number,
            name,
            f"{name}: got {pixels.dtype} {pixels.shape}; expected uint8 (H, W, 3): set the camera to 8-bit colour",
        )
    return CapturedFrame(number, name, np.ascontiguousarray(pixels[..., ::-1]))
