"""Draw the anomaly map over a frame: a heat map, and outlines of the anomalous regions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from anomedge.images import Frame, Mask
from anomedge.resample import Geometry
from anomedge.threshold import Decision

__all__ = ["overlay"]

_HEAT = np.array(
    [
        (0.00, 0, 0, 60),
        (0.35, 90, 0, 140),
        (0.60, 220, 50, 60),
        (0.80, 255, 160, 0),
        (1.00, 255, 255, 160),
    ]
)
_STEPS = np.linspace(0, 1, 256)
_COLOURS = np.stack(
    [np.interp(_STEPS, _HEAT[:, 0], _HEAT[:, place]) for place in (1, 2, 3)],
    axis=-1,
).astype(np.float32)
"""Colours (256, 3) of the steps from 0 to 1; one look-up per pixel costs less than three interpolations."""
_OUTLINE, _TRUTH = (0, 255, 255), (0, 255, 0)


def overlay(
    frame: Frame,
    anomaly_map: npt.NDArray[np.floating],
    decision: Decision,
    geometry: Geometry,
    truth: Mask | None = None,
) -> Frame:
    """Return the frame with its map; the pixel threshold is the middle of the colour scale, outlined in cyan.

    Args:
        frame: uint8 (Hf, Wf, 3).
        anomaly_map: (H, W), of the image that `geometry` cuts out of the frame.
        decision: thresholds and score range, of a detector with a map.
        geometry: position of the image in the frame.
        truth: mask of the true anomaly (Hf, Wf), outlined in green; None if unknown.
    """
    level = np.full(frame.shape[:2], -np.inf, dtype=np.float32)
    top, left, bottom, right = geometry.pixel_window(frame.shape[:2])
    resized = Image.fromarray(anomaly_map.astype(np.float32)).resize(
        (right - left, bottom - top), Image.Resampling.BILINEAR
    )
    level[top:bottom, left:right] = np.asarray(resized)
    heat = decision.normalised(level, decision.threshold_of_map)
    colours = _COLOURS[(heat * 255).round().astype(np.uint8)]
    strength = (0.75 * heat).astype(np.float32)[..., None]
    mixed = (frame + (colours - frame) * strength).round().astype(np.uint8)
    for mask, colour in ((truth, _TRUTH), (decision.mask(level), _OUTLINE)):
        if mask is not None:
            mixed[_outline(mask)] = colour
    return mixed


def _outline(mask: Mask) -> Mask:
    """Return the inner border of the mask, two pixels wide."""
    inner = mask.copy()
    for _ in range(2):
        padded = np.pad(inner, 1, constant_values=True)
        inner = (
            inner
            & padded[:-2, 1:-1]
            & padded[2:, 1:-1]
            & padded[1:-1, :-2]
            & padded[1:-1, 2:]
        )
    return np.asarray(mask & ~inner)
