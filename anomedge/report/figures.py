"""Draw figures of a proof as SVG: readable in grey, deterministic, without untrusted text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from anomedge.benchmark import Timing
from anomedge.errors import InputError
from anomedge.report.drawing import BAND, INK, as_svg, figure_of
from anomedge.report.scores import KINDS, Margin, Scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["latency", "score_histogram"]

# Colours for colour-blind readers; hatches and markers for print in grey.
_FILLS = dict(
    zip(KINDS, ("#4477aa", "#ee8866", "#bbbbbb", "#ddcc77"), strict=True)
)
_HATCHES = dict(zip(KINDS, ("", "////", "....", "xxxx"), strict=True))
_MARKERS = dict(zip(KINDS, ("o", "^", "s", "D"), strict=True))
_ROOM = 0.24
"""Fraction of the axis on each side of the threshold, reserved for text."""
_LARGEST = 1e100
"""Largest magnitude that is drawn, so that no axis overflows; a threshold of a file may be any finite number."""
_MOST_DECADES = 8
"""Most ticks on each side of the threshold."""


def score_histogram(scores: Scores) -> str:
    """Draw a histogram of scores, and their distances in tolerances below it.

    Raises:
        InputError: there is no finite score.
        RuntimeMissing: matplotlib is not installed.
    """
    if not scores.kinds:
        raise InputError(
            "got no finite score; expected at least one: nothing can be drawn"
        )
    scores = _bounded(scores)
    with figure_of(8.2, 4.1 + 0.22 * len(scores.kinds)) as figure:
        upper, lower = figure.subplots(
            2, 1, height_ratios=(3, 0.7 + 0.3 * len(scores.kinds))
        )
        _draw_counts(upper, scores)
        _draw_margins(lower, scores)
        figure.legend(
            frameon=False,
            fontsize=8,
            ncols=len(KINDS),
            loc="outside upper right",
        )
        return as_svg(figure)


def latency(timings: Sequence[Timing]) -> str:
    """Draw the median latency and 95th percentile of each runtime and batch.

    The unit is milliseconds per call.

    Raises:
        InputError: there is no timing.
        RuntimeMissing: matplotlib is not installed.
    """
    if not timings:
        raise InputError(
            "got no timing; expected at least one: nothing can be drawn"
        )
    with figure_of(8.2, 0.9 + 0.32 * len(timings)) as figure:
        axes = figure.subplots()
        _draw_bars(axes, timings)
        return as_svg(figure)


def _bounded(scores: Scores) -> Scores:
    """Return scores and threshold as they are drawn."""

    def bounded(value: float) -> float:
        return min(max(value, -_LARGEST), _LARGEST)

    return replace(
        scores,
        kinds={
            kind: [bounded(value) for value in values]
            for kind, values in scores.kinds.items()
        },
        threshold=bounded(scores.threshold),
        tolerance=max(bounded(scores.tolerance), 1 / _LARGEST),
        below=_bounded_margin(scores.below),
        above=_bounded_margin(scores.above),
    )


def _bounded_margin(margin: Margin | None) -> Margin | None:
    if margin is None:
        return None
    distance = min(max(margin.distance, -_LARGEST), _LARGEST)
    return replace(margin, distance=distance)


def _draw_counts(axes: Axes, scores: Scores) -> None:
    low, high = _range(scores)
    bins = np.linspace(low, high, 41)
    counted = scores.counted
    axes.hist(
        list(counted.values()),
        bins=bins.tolist(),
        stacked=True,
        label=[f"{kind} ({len(values)})" for kind, values in counted.items()],
        color=[_FILLS[kind] for kind in counted],
        hatch=[_HATCHES[kind] for kind in counted],
        edgecolor=INK,
        linewidth=0.6,
    )
    top = axes.get_ylim()[1]
    axes.set(
        xlim=(low, high),
        ylim=(0, top * 1.3),
        xlabel="raw score",
        ylabel="pictures",
    )
    axes.locator_params(axis="y", integer=True)
    axes.axvspan(
        scores.threshold - scores.tolerance,
        scores.threshold + scores.tolerance,
        color=BAND,
        alpha=0.3,
    )
    axes.axvline(scores.threshold, color=BAND, linewidth=1.6)
    axes.text(
        scores.threshold, 1.01, f"threshold {scores.threshold:.5g}", color=BAND, ha="center", va="bottom",
        transform=axes.get_xaxis_transform(), fontweight="bold",
    )  # fmt: skip
    for margin, side, offset in (
        (scores.below, "right", -6),
        (scores.above, "left", 6),
    ):
        if margin is not None:
            axes.plot(
                [scores.threshold + margin.distance] * 2,
                [0, top * 1.08],
                color=INK,
                linestyle=":",
                linewidth=1,
            )
            axes.annotate(
                f"nearest {'below' if side == 'right' else 'above'}\n{abs(margin.distance):.3g} away",
                (scores.threshold, top * 1.28), xytext=(offset, 0), textcoords="offset points", ha=side, va="top",
                fontsize=8,
            )  # fmt: skip


def _range(scores: Scores) -> tuple[float, float]:
    """Return the limits of the axis, with margins for text at the threshold."""
    values = np.concatenate(
        [np.asarray(kind) for kind in scores.counted.values()]
    )
    low, high = (
        min(float(values.min()), scores.threshold),
        max(float(values.max()), scores.threshold),
    )
    width = max(
        high - low, 20 * scores.tolerance, 1e-6 * abs(scores.threshold), 1e-30
    )
    low, high = low - 0.03 * width, high + 0.03 * width
    share = _ROOM / (1 - _ROOM)
    low = min(low, scores.threshold - share * (high - scores.threshold))
    high = max(high, scores.threshold + share * (scores.threshold - low))
    return low, high


def _draw_margins(axes: Axes, scores: Scores) -> None:
    axes.axvspan(-1, 1, color=BAND, alpha=0.22, linewidth=0)
    axes.axvline(0, color=BAND, linewidth=1.6)
    for row, (kind, values) in enumerate(scores.kinds.items()):
        distances = (np.asarray(values) - scores.threshold) / scores.tolerance
        axes.plot(
            distances, np.full(len(values), -row), _MARKERS[kind], color=_FILLS[kind], markeredgecolor=INK,
            markeredgewidth=0.6, markersize=5, alpha=0.8,
        )  # fmt: skip
    axes.set_xscale("symlog", linthresh=1, linscale=0.6)
    largest = max(
        abs(value - scores.threshold)
        for values in scores.kinds.values()
        for value in values
    )
    limit = max(10.0, 2 * largest / scores.tolerance)
    powers = int(np.log10(limit)) + 1
    step = -(-powers // _MOST_DECADES)
    decades = [10.0**power for power in range(0, powers, step)]
    ticks = [-value for value in reversed(decades)] + [0.0, *decades]
    axes.set_xticks(ticks, [_times(value) for value in ticks])
    axes.set_xticks([], minor=True)
    axes.set(xlim=(-limit, limit), ylim=(0.6 - len(scores.kinds), 0.6))
    axes.set_yticks(
        [-row for row in range(len(scores.kinds))], list(scores.kinds)
    )
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(
        "distance to the threshold, in tolerances; shaded: a label may flip within tolerance"
    )


def _times(value: float) -> str:
    """Format a short number for an axis.

    >>> _times(0.0), _times(-100.0), _times(10000.0)
    ('0', '\N{MINUS SIGN}100', '10k')
    >>> _times(1e200)
    '1e+200'
    """
    size = abs(value)
    text = (
        f"{size:.0f}"
        if size < 1e3
        else f"{size / 1e3:.0f}k"
        if size < 1e6
        else f"{size / 1e6:.0f}M"
        if size < 1e9
        else f"{size:.0e}"
    )
    return f"\N{MINUS SIGN}{text}" if value < 0 else text


def _draw_bars(axes: Axes, timings: Sequence[Timing]) -> None:
    names = list(dict.fromkeys(timing.runtime for timing in timings))
    places = -np.arange(len(timings))
    medians = np.array([timing.median for timing in timings])
    beyond = np.array(
        [max(timing.p95 - timing.median, 0.0) for timing in timings]
    )
    for name in names:
        own = [i for i, timing in enumerate(timings) if timing.runtime == name]
        style = names.index(name) % len(KINDS)
        axes.barh(
            places[own], medians[own], height=0.66, label=name, color=_FILLS[KINDS[style]],
            hatch=_HATCHES[KINDS[style]], edgecolor=INK, linewidth=0.6,
        )  # fmt: skip
    axes.errorbar(
        medians,
        places,
        xerr=[np.zeros(len(timings)), beyond],
        fmt="none",
        ecolor=INK,
        elinewidth=1,
        capsize=3,
    )
    for place, timing, end in zip(
        places, timings, medians + beyond, strict=True
    ):
        text = f"{timing.median:.3g} ms, {timing.throughput:.3g} frames/s"
        axes.annotate(
            text,
            (end, place),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.set_yticks(
        places.tolist(),
        [f"{timing.runtime}, batch {timing.batch}" for timing in timings],
    )
    axes.tick_params(axis="y", length=0)
    axes.set(
        xlim=(0, 1.32 * float((medians + beyond).max())),
        xlabel="milliseconds per call: median, whisker to the 95th percentile",
    )
