"""Generated pictures of a proof: extreme, synthetic, and blends near the threshold."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from anomedge.images import Frame, Picture
from anomedge.progress import track
from anomedge.threshold import Decision, scale_of_each

__all__ = [
    "BLENDED",
    "EXTREME",
    "GENERATED",
    "SYNTHETIC",
    "blends",
    "extremes",
    "synthetic",
]

EXTREME, BLENDED, SYNTHETIC = "extreme/", "blended/", "synthetic/"
GENERATED = (BLENDED, EXTREME, SYNTHETIC)
"""Prefixes of the names of generated pictures."""

_NEAR = 0.01
_UNDECIDABLE = 2e-4
"""Smallest distance of a blend to the threshold, as a fraction of its scale.

Twice the fp32 tolerance: at a smaller distance both labels are correct.
"""

_STEPS = 12
_TRIES = 4

Scorer = Callable[[Frame], npt.NDArray[np.floating]]


def extremes(frame: tuple[int, int]) -> list[Picture]:
    """Return black, grey and white frames, and an edge of black and white."""
    edge = np.zeros((*frame, 3), dtype=np.uint8)
    edge[:, frame[1] // 2 :] = 255
    constant = {"black": 0, "grey": 128, "white": 255}
    pictures = [
        Picture(
            EXTREME + name, pixels=np.full((*frame, 3), value, dtype=np.uint8)
        )
        for name, value in constant.items()
    ]
    return [*pictures, Picture(EXTREME + "edge", pixels=edge)]


def synthetic(
    frame: tuple[int, int], count: int = 4, seed: int = 0
) -> list[Picture]:
    """Return smooth colour fields with grain, for users without pictures."""
    generator = np.random.default_rng(seed)
    return [
        Picture(f"{SYNTHETIC}{i}", pixels=_field(frame, generator))
        for i in range(count)
    ]


def blends(
    pictures: Sequence[Picture],
    scores: npt.NDArray[np.floating],
    decision: Decision,
    frame: tuple[int, int],
    score_of: Scorer,
    count: int,
) -> list[Picture]:
    """Blend pictures so that their scores lie within 1 % of the threshold.

    A blend is (1 - t) normal + t anomalous, rounded to grey levels, with t
    found by bisection.

    Args:
        pictures: the N pictures to blend.
        scores: their scores (N,).
        decision: the decision with the threshold.
        frame: (height, width) in pixels.
        score_of: maps frames, uint8 (B, H, W, 3), to scores (B,).
        count: largest number of blends.

    Returns:
        Up to `count` blends; none if all pictures lie on one side of the
        threshold.
    """
    anomalous = decision.is_anomalous(scores)
    below = [p for p, flag in zip(pictures, anomalous, strict=True) if not flag]
    above = [p for p, flag in zip(pictures, anomalous, strict=True) if flag]
    if not below or not above:
        return []
    found: list[Picture] = []
    pairs = itertools.islice(_pairs(below, above), _TRIES * count)
    for normal, defect, shift in track(
        pairs, "blending to the threshold", total=_TRIES * count
    ):
        moved = np.roll(defect.frame(frame), round(shift * frame[1]), axis=1)
        pixels = _bisect(normal.frame(frame), moved, decision, score_of)
        if pixels is not None:
            found.append(
                Picture(
                    f"{BLENDED}{normal.name}+{defect.name}@{shift:g}",
                    pixels=pixels,
                )
            )
        if len(found) == count:
            break
    return found


def _pairs(
    below: Sequence[Picture], above: Sequence[Picture]
) -> Iterator[tuple[Picture, Picture, float]]:
    """Yield every pair; then again with the anomalous picture shifted sideways.

    Consecutive pairs differ in both pictures.
    """
    for shift in (0.0, 0.25, 0.5, 0.75):
        for turn in range(len(above)):
            for place, normal in enumerate(below):
                yield normal, above[(place + turn) % len(above)], shift


def _bisect(
    normal: Frame, defect: Frame, decision: Decision, score_of: Scorer
) -> Frame | None:
    """Return a blend near the threshold; None if bisection finds none.

    Its score is within 1 % of the threshold, and far enough from it for
    float32 to decide.
    """
    low, high = 0.0, 1.0
    least = _UNDECIDABLE * float(
        scale_of_each(decision.threshold, decision.scale)
    )
    for _ in range(_STEPS):
        share = (low + high) / 2
        pixels = (
            ((1 - share) * normal + share * defect).round().astype(np.uint8)
        )
        distance = float(score_of(pixels[None])[0]) - decision.threshold
        if least <= abs(distance) <= _NEAR * abs(decision.threshold):
            return pixels
        low, high = (low, share) if distance > 0 else (share, high)
    return None


def _field(frame: tuple[int, int], generator: np.random.Generator) -> Frame:
    y, x = np.meshgrid(
        np.linspace(0, 1, frame[0]), np.linspace(0, 1, frame[1]), indexing="ij"
    )
    waves = np.zeros((*frame, 3))
    for channel in range(3):
        fy, fx, phase = generator.uniform((1, 1, 0), (24, 24, 2 * np.pi))
        waves[..., channel] = np.sin(2 * np.pi * (fy * y + fx * x) + phase)
    pixels = 128 + 70 * waves + generator.normal(0, 12, waves.shape)
    return np.clip(pixels.round(), 0, 255).astype(np.uint8)
