"""Which pictures the report shows and why, and each of them as the original and every copy sees it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from anomedge.bundle import Bundle
from anomedge.images import Frame, Mask, stretch
from anomedge.images.overlay import overlay
from anomedge.parity import Outputs, Reference
from anomedge.parity.certificate import Tolerance
from anomedge.report.scores import is_made, kind_of
from anomedge.threshold import scale_of_each

__all__ = ["Panel", "Seen", "Shown", "in_words", "select", "show"]

_WIDTH = 480
_NEAREST = 2

FLIPPED, WORST = "a copy took the other side", "largest error"
FALSE_ALARM, MISS, NEAREST = "false alarm", "miss", "nearest to the threshold"


@dataclass(frozen=True)
class Panel:
    """A small picture, uint8 (h, w, 3), with what it shows in words."""

    pixels: Frame
    title: str
    alt: str


@dataclass(frozen=True)
class Seen:
    """What one copy makes of a picture."""

    runtime: str
    score: float
    label: str
    flipped: bool
    words: str
    overlay: Panel
    difference: Panel


@dataclass(frozen=True)
class Shown:
    """A picture of the report: why it is there, what is known of it, what the original and the copies say."""

    name: str
    reasons: tuple[str, ...]
    kind: str
    score: float
    label: str
    distance: float
    frame: Panel
    original: Panel
    copies: tuple[Seen, ...]


def select(
    reference: Reference,
    copies: Mapping[str, Outputs],
    bundle: Bundle,
    count: int,
) -> dict[int, list[str]]:
    """Up to `count` places of pictures, with the reasons: each reason has its turn, the gravest first."""
    decision = bundle.decision
    scores = np.asarray(reference.outputs.score, dtype=np.float64)
    verdicts = decision.is_anomalous(scores)
    flips = np.any(
        [decision.is_anomalous(c.score) != verdicts for c in copies.values()],
        axis=0,
    )
    errors = np.max(
        [
            _errors(reference.outputs, c, decision.scale)
            for c in copies.values()
        ],
        axis=0,
    )
    known = [picture.anomalous for picture in reference.pictures]
    own = [
        i
        for i, picture in enumerate(reference.pictures)
        if not is_made(picture)
    ] or list(range(len(scores)))
    near = sorted(own, key=lambda i: abs(scores[i] - decision.threshold))
    worst = np.argsort(
        -np.nan_to_num(errors, nan=np.inf), kind="stable"
    ).tolist()
    worst_of_own = [i for i in worst if i in set(own)]
    candidates = {
        FLIPPED: [i for i in worst if flips[i]],
        WORST: list(dict.fromkeys([*worst_of_own[:1], *worst[:1]])),
        FALSE_ALARM: [
            i for i in reversed(near) if known[i] is False and verdicts[i]
        ],
        MISS: [
            i for i in reversed(near) if known[i] is True and not verdicts[i]
        ],
        NEAREST: near[:_NEAREST],
    }
    chosen: dict[int, list[str]] = {}
    for _, place in _in_turns(candidates):
        if len(chosen) < count:
            chosen.setdefault(place, [])
    return {
        i: [reason for reason, places in candidates.items() if i in places]
        for i in chosen
    }


def _in_turns(candidates: Mapping[str, list[int]]) -> Iterator[tuple[str, int]]:
    for row in itertools.zip_longest(*candidates.values()):
        for reason, place in zip(candidates, row, strict=True):
            if place is not None:
                yield reason, place


def _errors(
    one: Outputs, other: Outputs, scale: float
) -> npt.NDArray[np.float64]:
    """The larger of score's and map's error of each picture (N,), shares of what each value is held to."""
    scores = np.abs(
        np.asarray(one.score, dtype=np.float64) - other.score
    ) / scale_of_each(one.score, scale)
    maps = np.abs(
        np.asarray(one.anomaly_map, dtype=np.float64) - other.anomaly_map
    ) / scale_of_each(one.anomaly_map, scale)
    return np.asarray(
        np.maximum(scores, maps.reshape(len(scores), -1).max(axis=1))
    )


def show(
    bundle: Bundle,
    reference: Reference,
    copies: Mapping[str, Outputs],
    place: int,
    reasons: list[str],
    tolerance: Tolerance,
) -> Shown:
    """One picture as the original and every copy sees it."""
    picture, decision = reference.pictures[place], bundle.decision
    frame = picture.frame(bundle.manifest.input.frame)
    small = stretch(frame, _small(frame.shape[:2]))
    mask = picture.mask()
    truth = (
        None if mask is None or mask.all() else _shrunk(mask, small.shape[:2])
    )
    score = float(reference.outputs.score[place])
    label = _label(bundle, score)
    original = reference.outputs.anomaly_map[place, 0]
    top = max(
        float(np.nan_to_num(np.abs(_apart(original, c, place))).max())
        for c in copies.values()
    )
    return Shown(
        name=picture.name,
        reasons=tuple(reasons),
        kind=kind_of(picture),
        score=score,
        label=label,
        distance=score - decision.threshold,
        frame=Panel(small, "frame", f"The frame {picture.name}"),
        original=_over(
            bundle,
            small,
            original,
            truth,
            reference.source,
            f"{label}, {score:.6g}",
        ),
        copies=tuple(
            _seen(
                bundle,
                reference,
                name,
                outputs,
                place,
                small,
                truth,
                top,
                tolerance,
            )
            for name, outputs in copies.items()
        ),
    )


def _seen(
    bundle: Bundle,
    reference: Reference,
    runtime: str,
    outputs: Outputs,
    place: int,
    small: Frame,
    truth: Mask | None,
    top: float,
    tolerance: Tolerance,
) -> Seen:
    scale = bundle.decision.scale
    before, score = (
        float(reference.outputs.score[place]),
        float(outputs.score[place]),
    )
    label = _label(bundle, score)
    original = reference.outputs.anomaly_map[place, 0]
    apart = _apart(original, outputs, place)
    score_words = in_words(
        float(abs(score - before) / scale_of_each(before, scale)),
        tolerance.score,
    )
    map_words = in_words(
        float((apart / scale_of_each(original, scale)).max()), tolerance.map
    )
    return Seen(
        runtime=runtime,
        score=score,
        label=label,
        flipped=label != _label(bundle, before),
        words=f"score {score_words}; map {map_words}",
        overlay=_over(
            bundle,
            small,
            outputs.anomaly_map[place, 0],
            truth,
            runtime,
            f"{label}, {score:.6g}",
        ),
        difference=Panel(
            _difference(bundle, apart, top, small.shape[:2]),
            f"maps apart, black = {top / scale:.1e} of the scale",
            f"Absolute difference of the anomaly maps of {runtime} and {reference.source}",
        ),
    )


def in_words(error: float, allowed: float) -> str:
    """An error beside what is allowed.

    >>> in_words(2e-6, 1e-4)
    'off by 2.0e-06 of the scale, 50 times less than allowed'
    >>> in_words(0.0, 1e-4)
    'equal'
    >>> in_words(3e-4, 1e-4)
    'off by 3.0e-04 of the scale, 3.0 times MORE than allowed'
    """
    if error == 0:
        return "equal"
    if not np.isfinite(error):
        return "NOT A FINITE NUMBER"
    if error > allowed:
        return f"off by {error:.1e} of the scale, {error / allowed:.1f} times MORE than allowed"
    return f"off by {error:.1e} of the scale, {allowed / error:.0f} times less than allowed"


def _apart(
    original: npt.NDArray[np.floating], outputs: Outputs, place: int
) -> npt.NDArray[np.float64]:
    return np.asarray(
        np.abs(
            np.asarray(original, dtype=np.float64)
            - outputs.anomaly_map[place, 0]
        )
    )


def _label(bundle: Bundle, score: float) -> str:
    return "anomalous" if bundle.decision.is_anomalous(score) else "normal"


def _over(
    bundle: Bundle,
    small: Frame,
    anomaly_map: npt.NDArray[np.floating],
    truth: Mask | None,
    who: str,
    verdict: str,
) -> Panel:
    """An overlay; what is no number in a broken copy's map is drawn as if it were the lowest."""
    drawable = np.nan_to_num(anomaly_map, nan=bundle.decision.minimum)
    drawn = overlay(
        small, drawable, bundle.decision, bundle.manifest.geometry, truth
    )
    return Panel(drawn, who, f"Anomaly map of {who} over the frame: {verdict}")


def _difference(
    bundle: Bundle,
    apart: npt.NDArray[np.float64],
    top: float,
    size: tuple[int, int],
) -> Frame:
    """White where the maps agree, black at `top`, grey around what the detector looks at."""
    share = np.clip(
        np.nan_to_num(apart / top if top else apart, nan=1.0, posinf=1.0), 0, 1
    )
    top_edge, left, bottom, right = (
        round(edge) for edge in bundle.manifest.geometry.window(size)
    )
    inner = Image.fromarray(
        (255 * (1 - share)).round().astype(np.uint8)
    ).resize((right - left, bottom - top_edge), Image.Resampling.NEAREST)
    pixels = np.full((*size, 3), 200, dtype=np.uint8)
    pixels[top_edge:bottom, left:right] = np.asarray(inner)[..., None]
    return pixels


def _small(size: tuple[int, int]) -> tuple[int, int]:
    """No wider, and no higher, than the report has room for."""
    share = min(1.0, _WIDTH / size[1], 1.5 * _WIDTH / size[0])
    return max(1, round(size[0] * share)), max(1, round(size[1] * share))


def _shrunk(mask: Mask, size: tuple[int, int]) -> Mask:
    image = Image.fromarray(mask.astype(np.uint8) * 255).resize(
        (size[1], size[0]), Image.Resampling.BILINEAR
    )
    return np.asarray(np.asarray(image) > 127)
