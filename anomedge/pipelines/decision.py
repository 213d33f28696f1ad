"""Place the threshold of a fitted detector, from held-back normal pictures or from labelled ones."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from anomedge.errors import InputError
from anomedge.files import sha256_of_bytes
from anomedge.images import Picture
from anomedge.pipelines.base import Pipeline
from anomedge.pipelines.data import PictureBatches
from anomedge.pipelines.tiles import Tiles, detect
from anomedge.resample import Geometry
from anomedge.threshold import (
    Cut,
    Decision,
    Origin,
    Scores,
    by_f1,
    by_false_alarm_rate,
    spread,
)

__all__ = ["SmallSampleWarning", "ThresholdSample", "place_threshold"]


class SmallSampleWarning(UserWarning):
    """The sample is too small for the false-alarm rate, so the threshold was extrapolated."""


@dataclass(frozen=True)
class ThresholdSample:
    """Pictures that place the threshold; none of them is fitted to.

    Attributes:
        normal: normal pictures.
        anomalous: anomalous pictures. With some, the threshold has the best F1; without, a false-alarm rate.
        source: where they come from, for the bundle's manifest.
        rate: false-alarm rate aimed at on normal pictures.
    """

    normal: Sequence[Picture]
    anomalous: Sequence[Picture]
    source: str
    rate: float


def place_threshold(
    pipeline: Pipeline[Any, Any],
    sample: ThresholdSample,
    geometry: Geometry,
    batch: int,
) -> Decision:
    """Return thresholds of score and map, the range of scores, and their scale.

    Raises:
        InputError: the score of every picture is 0.
    """
    if not sample.anomalous:
        return _by_false_alarm_rate(pipeline, sample, geometry, batch)
    normal, normal_peaks = _scores(pipeline, sample.normal, geometry, batch)
    anomalous, peaks = _scores(pipeline, sample.anomalous, geometry, batch)
    if not anomalous.any():
        _refuse_constant_zero(normal)
    return _decision(
        by_f1(normal, anomalous),
        by_f1(normal_peaks, peaks),
        normal,
        np.concatenate([normal, anomalous]),
        sample,
    )


def _by_false_alarm_rate(
    pipeline: Pipeline[Any, Any],
    sample: ThresholdSample,
    geometry: Geometry,
    batch: int,
) -> Decision:
    scores, peaks = _scores(pipeline, sample.normal, geometry, batch)
    _refuse_constant_zero(scores)
    cut = by_false_alarm_rate(scores, sample.rate)
    pixel_cut = by_false_alarm_rate(peaks, sample.rate)
    _warn_if_small(cut, len(sample.normal), sample.rate)
    return _decision(cut, pixel_cut, scores, scores, sample)


def _scores(
    pipeline: Pipeline[Any, Any],
    pictures: Sequence[Picture],
    geometry: Geometry,
    batch: int,
) -> tuple[Scores, Scores]:
    """Return the score and the largest map value of each picture."""
    scores: list[npt.NDArray[np.floating]] = []
    peaks: list[npt.NDArray[np.floating]] = []
    tiles = Tiles.of(geometry)
    at_once = batch if tiles is None else max(1, batch // tiles.count)
    batches = PictureBatches(
        pictures, geometry, at_once, "placing the threshold"
    )
    with torch.no_grad():
        for images in batches:
            stages = detect(pipeline, tiles, images)
            scores.append(stages["score"].numpy())
            peaks.append(stages["anomaly_map"].flatten(1).amax(dim=1).numpy())
    return np.concatenate(scores), np.concatenate(peaks)


def _decision(
    cut: Cut,
    pixel_cut: Cut,
    normal: Scores,
    scores: Scores,
    sample: ThresholdSample,
) -> Decision:
    return Decision(
        threshold=cut.value,
        pixel_threshold=pixel_cut.value,
        minimum=float(scores.min()),
        maximum=float(scores.max()),
        scale=spread(normal),
        origin=_origin(cut, sample),
    )


def _origin(cut: Cut, sample: ThresholdSample) -> Origin:
    pictures = [*sample.normal, *sample.anomalous]
    digests = "".join(str(picture.digest) for picture in pictures)
    return Origin(
        rule="f1" if sample.anomalous else "false-alarm-rate",
        rate=None if sample.anomalous else sample.rate,
        source=sample.source,
        normal=len(sample.normal),
        anomalous=len(sample.anomalous),
        margin=cut.margin,
        extrapolated=cut.extrapolated,
        pictures=sha256_of_bytes(digests.encode()),
    )


def _refuse_constant_zero(normal: Scores) -> None:
    """Refuse features that are equal in all pictures, as of a dead channel: their scores have no scale."""
    if not normal.any():
        raise InputError(
            f"got score 0 for all {normal.size} normal pictures; expected them to differ, but the features fitted on are the "
            f"same in each: give other --layers or --weights, or more --features"
        )


def _warn_if_small(cut: Cut, count: int, rate: float) -> None:
    if not cut.extrapolated:
        return
    if count * rate >= 1:
        message = (
            f"got {count} held-back scores too many of which are equal for a false-alarm rate of {rate:g}; the threshold "
            f"lies {cut.margin:.4g} above the largest: give other pictures with --held-back"
        )
    else:
        message = (
            f"got {count} held-back normal pictures; expected at least {int(np.ceil(1 / rate))} for a false-alarm rate "
            f"of {rate:g}: the threshold lies {cut.margin:.4g} above the largest score, where about 1 normal picture in "
            f"{count + 1} may still pass it; give more with --held-back"
        )
    warnings.warn(message, SmallSampleWarning, stacklevel=5)
