"""Frames decoded by OpenCV. It is imported when a camera or video is opened, not before."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from anomedge.errors import RuntimeMissing
from anomedge.station.sources._connection import Disconnected, Shot, Shots
from anomedge.station.sources.base import CapturedFrame, UnusableFrame

__all__ = ["camera_frames", "load_opencv", "next_frame"]


def load_opencv() -> Any:
    """Import OpenCV.

    Raises:
        RuntimeMissing: it is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise RuntimeMissing(
            f"OpenCV cannot be imported ({error}); expected it for cameras and videos: pip install 'anomedge[camera]'"
        ) from error
    return cv2


def camera_frames(
    cv: Any,
    open_capture: Callable[[], Any],
    title: str,
    number: int,
    stop: threading.Event,
) -> Shots:
    """Open a capture and yield its frames until `stop` is set; the first has the number `number` + 1.

    Raises:
        Disconnected: the capture cannot be opened, or gives no frame.
    """
    try:
        capture = open_capture()
    except cv.error as error:
        raise Disconnected("the camera cannot be opened") from error
    try:
        while not stop.is_set():
            number += 1
            frame = next_frame(cv, capture, number, title)
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
