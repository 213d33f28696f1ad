"""Typical mistakes of a client before the graph, as functions of the frame that the client should have fed."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image

from anomedge.images import Frame

__all__ = ["Mistake", "mistakes"]


class Mistake(NamedTuple):
    """A mistake: stage, description, and the frame that the graph gets in place of the right one."""

    stage: str
    text: str
    apply: Callable[[Frame], Frame]


def mistakes(image: tuple[int, int]) -> list[Mistake]:
    """Return the known mistakes for a detector that stretches frames to the size (h, w)."""
    return [
        Mistake("colour", "feeds BGR in place of RGB", _bgr),
        Mistake("colour", "feeds grey in place of colour", _grey),
        Mistake("layout", "feeds channels first (NCHW) in place of channels last (NHWC)", _channels_first),
        Mistake("layout", "feeds the frame's rows from bottom to top", _upside_down),
        Mistake("layout", "feeds the frame's columns from right to left", _mirrored),
        Mistake("layout", "feeds the frame with rows and columns exchanged", _transposed),
        Mistake("range", "divides by 255: the graph takes grey levels from 0 to 255", _divided),
        Mistake("range", "feeds negative pixels", _negative),
        Mistake("range", "normalises with ImageNet's mean and deviation: the graph does that itself", _normalised),
        *_resizes(image),
    ]  # fmt: skip


def _resizes(image: tuple[int, int]) -> list[Mistake]:
    """Return the resizes to the detector's image that the graph then repeats."""
    filters = {
        "bilinear": Image.Resampling.BILINEAR,
        "nearest": Image.Resampling.NEAREST,
        "bicubic": Image.Resampling.BICUBIC,
    }
    found = []
    for name, resampling in filters.items():

        def resize(
            frame: Frame, resampling: Image.Resampling = resampling
        ) -> Frame:
            return _resized_twice(frame, image, resampling)

        text = f"resizes the frame to the detector's image ({name}): the graph does that itself"
        found.append(Mistake("resize", text, resize))
    return found


def _bgr(frame: Frame) -> Frame:
    return np.ascontiguousarray(frame[..., ::-1])


def _grey(frame: Frame) -> Frame:
    grey = Image.fromarray(frame).convert("L")
    return np.asarray(grey.convert("RGB"))


def _channels_first(frame: Frame) -> Frame:
    return np.ascontiguousarray(frame.transpose(2, 0, 1)).reshape(frame.shape)


def _upside_down(frame: Frame) -> Frame:
    return np.ascontiguousarray(frame[::-1])


def _mirrored(frame: Frame) -> Frame:
    return np.ascontiguousarray(frame[:, ::-1])


def _transposed(frame: Frame) -> Frame:
    exchanged = np.ascontiguousarray(frame.transpose(1, 0, 2))
    return exchanged.reshape(frame.shape)


def _divided(frame: Frame) -> Frame:
    return (frame // 255).astype(np.uint8)


def _negative(frame: Frame) -> Frame:
    return (255 - frame).astype(np.uint8)


def _normalised(frame: Frame) -> Frame:
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    values = (frame / 255 - np.array(mean)) / np.array(deviation)
    shown: Frame = values.astype(np.int8).view(np.uint8)
    return shown


def _resized_twice(
    frame: Frame, image: tuple[int, int], resampling: Image.Resampling
) -> Frame:
    height, width = image
    picture = Image.fromarray(frame).resize((width, height), resampling)
    back = picture.resize((frame.shape[1], frame.shape[0]), resampling)
    return np.asarray(back)
