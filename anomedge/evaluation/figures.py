"""Metrics of a sample with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from anomedge.evaluation.aupro import aupro
from anomedge.evaluation.auroc import auroc, tie_mass
from anomedge.evaluation.average_precision import average_precision
from anomedge.evaluation.bootstrap import percentiles, resampled
from anomedge.evaluation.curve import Counts
from anomedge.evaluation.f1 import best_f1, f1, f1_at_each
from anomedge.evaluation.records import Figure, LevelFigures, Rate
from anomedge.evaluation.samples import (
    Confusion,
    MapSample,
    Sample,
    ScoreSample,
)
from anomedge.threshold import interval_of_rate

__all__ = ["LEAST", "figures_of_maps", "figures_of_scores"]

Array = npt.NDArray[np.float64]
Metric = Callable[[Counts], Array]

LEAST = 5
"""Fewest pictures of a class for an interval of the bootstrap."""

_OF_COUNTS: dict[str, Metric] = {
    "auroc": auroc,
    "average_precision": average_precision,
    "best_f1": best_f1,
}
_OF_REGIONS: dict[str, Metric] = {"aupro": aupro}


def figures_of_scores(
    sample: ScoreSample, threshold: float, seed: int, replicates: int
) -> LevelFigures:
    """Return the figures of pictures; intervals of rates are exact.

    Rates have the interval of Clopper and Pearson, because a bootstrap of a
    rate of 0 has no width.

    Args:
        sample: scores, labels and decisions.
        threshold: the threshold in force.
        seed: of the bootstrap.
        replicates: number of replicates of the bootstrap.
    """
    figures = _figures(sample, _OF_COUNTS, seed, replicates)
    both = _has_both_classes(sample.confusion)
    alarms, hits, normal, anomalous = _totals(sample.confusion)
    return LevelFigures(
        normal=normal,
        anomalous=anomalous,
        threshold=threshold,
        best_threshold=_best_threshold(sample) if both else None,
        false_alarm_rate=_exact_rate(alarms, normal),
        recall=_exact_rate(hits, anomalous),
        **{name: figures.get(name) for name in (*_OF_COUNTS, "f1")},
    )


def figures_of_maps(
    sample: MapSample, seed: int, replicates: int
) -> LevelFigures:
    """Return the figures of pixels; the bootstrap draws whole pictures."""
    figures = _figures(sample, _OF_COUNTS | _OF_REGIONS, seed, replicates)
    both = _has_both_classes(sample.confusion)
    alarms, hits, normal, anomalous = _totals(sample.confusion)
    counts = sample.curve.counts
    rounded = bool((sample.curve.lower != sample.curve.upper).any())
    return LevelFigures(
        normal=normal,
        anomalous=anomalous,
        regions=round(float(counts.coverage.sum())),
        threshold=sample.threshold,
        best_threshold=_best_threshold(sample) if both else None,
        false_alarm_rate=_rate(alarms, normal, figures.get("alarms")),
        recall=_rate(hits, anomalous, figures.get("hits")),
        auroc_error=float(tie_mass(counts)) / 2 if both and rounded else 0.0,
        **{
            name: figures.get(name)
            for name in (*_OF_COUNTS, *_OF_REGIONS, "f1")
        },
    )


def _figures(
    sample: Sample, metrics: Mapping[str, Metric], seed: int, replicates: int
) -> dict[str, Figure]:
    """Return each metric that the sample defines, and the rates, by name."""
    confusion = sample.confusion
    ones = np.ones((1, sample.anomalous.size))
    exact = _rates(confusion, ones)
    if _has_both_classes(confusion):
        counts = sample.curve.counts
        exact |= {name: metric(counts) for name, metric in metrics.items()}
    centre = _values(sample, metrics, ones)
    drawn = [
        _values(sample, metrics, weights)
        for weights in resampled(sample.anomalous, seed, replicates)
    ]
    enough = _smallest_class(sample.anomalous) >= LEAST
    figures = {}
    for name, value in exact.items():
        if np.isfinite(value).all():
            replicated = np.concatenate([values[name] for values in drawn])
            # Replicates know groups of map values only: keep their deviation.
            shifted = replicated - centre[name] + float(np.squeeze(value))
            figures[name] = _figure(
                float(np.squeeze(value)), shifted if enough else None
            )
    return figures


def _values(
    sample: Sample, metrics: Mapping[str, Metric], weights: Array
) -> dict[str, Array]:
    """Return each metric of each replicate, (r,)."""
    counts = sample.weighted(weights)
    values = {name: metric(counts) for name, metric in metrics.items()}
    return values | _rates(sample.confusion, weights)


def _rates(confusion: Confusion, weights: Array) -> dict[str, Array]:
    """Return F1, and the shares of alarms and hits, of each replicate, (r,)."""
    alarms, hits = weights @ confusion.alarms, weights @ confusion.hits
    normal = weights @ confusion.normal
    anomalous = weights @ confusion.anomalous
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "f1": f1(hits, alarms, anomalous),
            "alarms": alarms / normal,
            "hits": hits / anomalous,
        }


def _smallest_class(anomalous: npt.NDArray[np.bool_]) -> int:
    """Return the number of pictures of the rarer class that is present."""
    counts = np.bincount(anomalous.astype(np.int64), minlength=2)
    return int(counts[counts > 0].min())


def _figure(value: float, replicated: Array | None) -> Figure:
    found = None if replicated is None else percentiles(replicated)
    if found is None:
        return Figure(value=value)
    low, high = np.clip(found, 0, 1)
    return Figure(value=value, low=float(low), high=float(high))


def _totals(confusion: Confusion) -> tuple[int, int, int, int]:
    """Return the numbers of alarms, hits, normal and anomalous ones."""
    columns = (
        confusion.alarms,
        confusion.hits,
        confusion.normal,
        confusion.anomalous,
    )
    alarms, hits, normal, anomalous = (int(each.sum()) for each in columns)
    return alarms, hits, normal, anomalous


def _has_both_classes(confusion: Confusion) -> bool:
    return bool(confusion.normal.any() and confusion.anomalous.any())


def _best_threshold(sample: Sample) -> float:
    curve = sample.curve
    return curve.threshold_at(int(f1_at_each(curve.counts).argmax()))


def _exact_rate(count: int, of: int) -> Rate | None:
    if of == 0:
        return None
    low, high = interval_of_rate(count, of)
    return Rate(value=count / of, low=low, high=high, count=count, of=of)


def _rate(count: int, of: int, figure: Figure | None) -> Rate | None:
    if of == 0 or figure is None:
        return None
    return Rate(**figure.model_dump(), count=count, of=of)
