"""Select the pictures of a report; draw their maps of original and copies, for a detector with a map."""

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
from anomedge.report.scores import is_generated, kind_of
from anomedge.resample.outside_resize import stated_size
from anomedge.threshold import scale_of_each

__all__ = [
    "CopyResult",
    "Panel",
    "ShownPicture",
    "in_words",
    "select",
    "show",
    "small_size",
]

_WIDTH = 480
_NEAREST = 2

FLIPPED, WORST = "label flipped", "largest error"
FALSE_ALARM, MISS, NEAREST = "false alarm", "miss", "nearest to the threshold"


@dataclass(frozen=True)
class Panel:
    """Small picture, uint8 (h, w, 3), with a title and an alternative text."""

    pixels: Frame
    title: str
    alt: str


@dataclass(frozen=True)
class CopyResult:
    """Result of one copy on one picture; without panels for a detector without a map."""

    runtime: str
    score: float
    label: str
    flipped: bool
    words: str
    overlay: Panel | None
    difference: Panel | None


@dataclass(frozen=True)
class ShownPicture:
    """Picture of the report, with the results of the original and the copies; `original` is None without a map."""

    name: str
    reasons: tuple[str, ...]
    kind: str
    score: float
    label: str
    distance: float
    frame: Panel
    original: Panel | None
    copies: tuple[CopyResult, ...]


def select(
    reference: Reference,
    copies: Mapping[str, Outputs],
    bundle: Bundle,
    count: int,
) -> dict[int, list[str]]:
    """Select up to `count` pictures; return their indices and reasons.

    The reasons take turns, the most serious first.
    """
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
        if not is_generated(picture)
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
    """Return the larger error of score and map of each picture (N,).

    Errors are fractions of `anomedge.threshold.scale_of_each`.
    """
    scores = _relative(one.score, other.score, scale)
    if one.anomaly_map is None or other.anomaly_map is None:
        return scores
    maps = _relative(one.anomaly_map, other.anomaly_map, scale)
    return np.asarray(
        np.maximum(scores, maps.reshape(len(scores), -1).max(axis=1))
    )


def _relative(
    one: npt.NDArray[np.floating], other: npt.NDArray[np.floating], scale: float
) -> npt.NDArray[np.float64]:
    differences = np.abs(np.asarray(one, dtype=np.float64) - other)
    return np.asarray(differences / scale_of_each(one, scale))


def show(
    bundle: Bundle,
    reference: Reference,
    copies: Mapping[str, Outputs],
    place: int,
    reasons: list[str],
    tolerance: Tolerance,
) -> ShownPicture:
    """Draw one picture with the results of the original and every copy."""
    picture, decision = reference.pictures[place], bundle.decision
    frame = picture.frame(stated_size(bundle.manifest.framing))
    small = stretch(frame, small_size(frame.shape[:2]))
    mask = picture.mask()
    truth = (
        None if mask is None or mask.all() else _shrunk(mask, small.shape[:2])
    )
    score = float(reference.outputs.score[place])
    label = _label(bundle, score)
    original = _map_at(reference.outputs, place)
    differences = (
        _map_difference(original, _map_at(copy, place))
        for copy in copies.values()
    )
    top = max(
        float(np.nan_to_num(each).max()) if each is not None else 0.0
        for each in differences
    )
    return ShownPicture(
        name=picture.name,
        reasons=tuple(reasons),
        kind=kind_of(picture),
        score=score,
        label=label,
        distance=score - decision.threshold,
        frame=Panel(small, "frame", f"The frame {picture.name}"),
        original=_overlay_panel(
            bundle,
            small,
            original,
            truth,
            reference.source,
            f"{label}, {score:.6g}",
        ),
        copies=tuple(
            _copy_result(
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


def _copy_result(
    bundle: Bundle,
    reference: Reference,
    runtime: str,
    outputs: Outputs,
    place: int,
    small: Frame,
    truth: Mask | None,
    top: float,
    tolerance: Tolerance,
) -> CopyResult:
    scale = bundle.decision.scale
    before, score = (
        float(reference.outputs.score[place]),
        float(outputs.score[place]),
    )
    label = _label(bundle, score)
    original, copy = _map_at(reference.outputs, place), _map_at(outputs, place)
    difference = _map_difference(original, copy)
    score_words = in_words(
        float(abs(score - before) / scale_of_each(before, scale)),
        tolerance.score,
    )
    words, difference_panel = f"score {score_words}", None
    if original is not None and difference is not None:
        error = float((difference / scale_of_each(original, scale)).max())
        words += f"; map {in_words(error, tolerance.map)}"
        difference_panel = Panel(
            _draw_difference(bundle, difference, top, small.shape[:2]),
            f"maps apart, black = {top / scale:.1e} of the scale",
            f"Absolute difference of the anomaly maps of {runtime} and {reference.source}",
        )
    return CopyResult(
        runtime=runtime,
        score=score,
        label=label,
        flipped=label != _label(bundle, before),
        words=words,
        overlay=_overlay_panel(
            bundle, small, copy, truth, runtime, f"{label}, {score:.6g}"
        ),
        difference=difference_panel,
    )


def in_words(error: float, allowed: float) -> str:
    """Describe an error relative to its limit.

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


def _map_at(outputs: Outputs, place: int) -> npt.NDArray[np.floating] | None:
    """Return the map (H, W) of a picture; None for a detector without a map."""
    maps = outputs.anomaly_map
    return None if maps is None else maps[place, 0]


def _map_difference(
    original: npt.NDArray[np.floating] | None,
    copy: npt.NDArray[np.floating] | None,
) -> npt.NDArray[np.float64] | None:
    if original is None or copy is None:
        return None
    return np.asarray(np.abs(np.asarray(original, dtype=np.float64) - copy))


def _label(bundle: Bundle, score: float) -> str:
    return "anomalous" if bundle.decision.is_anomalous(score) else "normal"


def _overlay_panel(
    bundle: Bundle,
    small: Frame,
    anomaly_map: npt.NDArray[np.floating] | None,
    truth: Mask | None,
    source: str,
    verdict: str,
) -> Panel | None:
    """Draw an overlay; NaN in a map is drawn as the smallest value."""
    if anomaly_map is None:
        return None
    values = anomaly_map.astype(np.float64)
    drawable = np.nan_to_num(values, nan=bundle.decision.minimum)
    drawn = overlay(
        small, drawable, bundle.decision, bundle.manifest.geometry, truth
    )
    return Panel(
        drawn, source, f"Anomaly map of {source} over the frame: {verdict}"
    )


def _draw_difference(
    bundle: Bundle,
    difference: npt.NDArray[np.float64],
    top: float,
    size: tuple[int, int],
) -> Frame:
    """Draw differences: white for 0, black for `top`, grey outside the image."""
    share = np.clip(
        np.nan_to_num(
            difference / top if top else difference, nan=1.0, posinf=1.0
        ),
        0,
        1,
    )
    geometry = bundle.manifest.geometry
    top_edge, left, bottom, right = geometry.pixel_window(size)
    inner = Image.fromarray(
        (255 * (1 - share)).round().astype(np.uint8)
    ).resize((right - left, bottom - top_edge), Image.Resampling.NEAREST)
    pixels = np.full((*size, 3), 200, dtype=np.uint8)
    pixels[top_edge:bottom, left:right] = np.asarray(inner)[..., None]
    return pixels


def small_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return (height, width) reduced to fit the report."""
    share = min(1.0, _WIDTH / size[1], 1.5 * _WIDTH / size[0])
    return max(1, round(size[0] * share)), max(1, round(size[1] * share))


def _shrunk(mask: Mask, size: tuple[int, int]) -> Mask:
    image = Image.fromarray(mask.astype(np.uint8) * 255).resize(
        (size[1], size[0]), Image.Resampling.BILINEAR
    )
    return np.asarray(np.asarray(image) > 127)
