"""Draw a station's frames, scores and drift over time as SVG, without untrusted text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anomedge.report.drawing import BAND, INK, as_svg, figure_of
from anomedge.report.station.log import LABELS, StationLog
from anomedge.report.station.timeline import Timeline

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_drift", "draw_frames"]

_FILLS = dict(zip(LABELS, ("#4477aa", "#ee8866", "#bbbbbb"), strict=True))
_HATCHES = dict(zip(LABELS, ("", "////", "...."), strict=True))
_LINES = {
    "scores": ("#4477aa", "-"),
    "alarms": ("#ee8866", "--"),
    "brightness": ("#228833", "-."),
    "contrast": ("#aa3377", ":"),
    "sharpness": ("#222222", (0, (5, 1, 1, 1, 1, 1))),
}
_LARGEST = 1e100
_HIGHEST_RATIO = 3.0


def draw_frames(timeline: Timeline, log: StationLog) -> str:
    """Draw the numbers of frames by label, and median and highest score below them."""
    with figure_of(8.2, 5.0) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True)
        _draw_counts(upper, timeline)
        _draw_gaps(upper, timeline, log)
        _draw_scores(lower, timeline)
        lower.set_xlabel(_axis(timeline))
        figure.legend(
            frameon=False, fontsize=8, ncols=4, loc="outside upper right"
        )
        return as_svg(figure)


def draw_drift(timeline: Timeline, log: StationLog) -> str:
    """Draw the statistic of each figure as a share of its limit, and the drifts as bars below."""
    with figure_of(8.2, 3.4) as figure:
        axes = figure.subplots()
        for name, (colour, dashes) in _LINES.items():
            points = [
                (timeline.place(time), ratios[name])
                for time, ratios in log.distributions
                if name in ratios
            ]
            places = [place for place, _ in points if place is not None]
            heights = [min(ratio, _HIGHEST_RATIO) for _, ratio in points]
            if places:
                axes.plot(
                    places, heights, color=colour, linestyle=dashes,
                    linewidth=1.3, marker=".", markersize=3, label=name,
                )  # fmt: skip
        axes.axhline(1.0, color=BAND, linewidth=1.6)
        _draw_drifts(axes, timeline, log)
        axes.set(
            xlim=(0, float(timeline.edges[-1])),
            ylim=(-0.1 * (1 + len(_LINES)), None),
            xlabel=_axis(timeline),
            ylabel="statistic / limit",
        )
        # Below 0 are the bars.
        axes.set_yticks([each for each in axes.get_yticks() if each >= 0])
        if axes.get_legend_handles_labels()[0]:
            figure.legend(
                frameon=False, fontsize=8, ncols=5, loc="outside upper right"
            )
        return as_svg(figure)


def _draw_counts(axes: Axes, timeline: Timeline) -> None:
    width = np.diff(timeline.edges)
    bottom = np.zeros(len(width))
    for place, label in enumerate(LABELS):
        heights = timeline.counts[:, place].astype(np.float64)
        if not heights.any():
            continue
        axes.bar(
            timeline.edges[:-1], heights, width, bottom, align="edge", label=label, color=_FILLS[label],
            hatch=_HATCHES[label], edgecolor=INK, linewidth=0.4,
        )  # fmt: skip
        bottom += heights
    axes.set(
        xlim=(0, float(timeline.edges[-1])),
        ylabel=f"frames per {width[0]:.3g} {timeline.unit}",
    )
    axes.locator_params(axis="y", integer=True)


def _draw_gaps(axes: Axes, timeline: Timeline, log: StationLog) -> None:
    for gap in log.gaps:
        begin = timeline.place(gap.begin)
        end = timeline.place(log.last if gap.end is None else gap.end)
        if begin is not None and end is not None:
            axes.axvspan(begin, end, color=BAND, alpha=0.3, linewidth=0.8)


def _draw_scores(axes: Axes, timeline: Timeline) -> None:
    middles = (timeline.edges[1:] + timeline.edges[:-1]) / 2
    for values, style, label in (
        (timeline.highest, "^", "highest score"),
        (timeline.median, "o", "median score"),
    ):
        bounded = np.clip(values, -_LARGEST, _LARGEST)
        axes.plot(middles, bounded, style, color=INK, markersize=3, label=label)
    threshold = np.clip(timeline.threshold, -_LARGEST, _LARGEST)
    axes.step(
        middles, threshold, where="mid", color=BAND, linewidth=1.6,
        label="threshold",
    )  # fmt: skip
    axes.set_ylabel("raw score")


def _draw_drifts(axes: Axes, timeline: Timeline, log: StationLog) -> None:
    names = list(_LINES)
    for drift in log.drifts:
        begin = timeline.place(drift.begin)
        end = timeline.place(log.last if drift.end is None else drift.end)
        if begin is None or end is None or drift.name not in names:
            continue
        colour, _ = _LINES[drift.name]
        height = -0.1 * (1 + names.index(drift.name))
        axes.plot(
            [begin, end], [height, height], color=colour, linewidth=4,
            solid_capstyle="butt",
        )  # fmt: skip
        axes.axvline(begin, color=colour, linewidth=0.8, linestyle=":")


def _axis(timeline: Timeline) -> str:
    if timeline.start is None:
        return "frames of the log, because the clock jumped"
    return f"{timeline.unit} since the first frame"
