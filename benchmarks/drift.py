"""Measure false drifts of a station, and the delay until a drift is noticed, on simulated streams.

    python benchmarks/drift.py -o benchmarks/results/drift.md
    python benchmarks/drift.py --streams 4 --frames 500      # a quick run

Each stream draws a reference of n values, as of normal pictures, and then frames of the same distribution. `test alone` has
no least change of the quartiles, so that every value at the limit of the statistic counts. The statistic depends on ranks
only: the result holds for every continuous distribution. Delays are the frames after a change until the event, in
streams of 200 undisturbed frames before it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from anomedge.station.drift.alarm_figure import AlarmFigure
from anomedge.station.drift.changes import change_of_images, change_of_scores
from anomedge.station.drift.figure import DistributionFigure
from anomedge.station.drift.levels import BEGIN, DEFAULT_WINDOW
from anomedge.threshold import interval_of_rate

REFERENCES = (24, 100, 256)
BEFORE, AFTER = 200, 400
SPREAD = 0.07  # standard deviation of the brightness, as a share of it
Draws = np.ndarray


def main() -> int:
    """Run the simulation and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=400)
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    page = "\n".join(lines(given.streams, given.frames)) + "\n"
    if given.output is None:
        sys.stdout.write(page)
    else:
        given.output.write_text(page, encoding="utf-8")
    return 0


def lines(streams: int, frames: int) -> Iterator[str]:
    """Yield the lines of the page."""
    yield "# Drift of a station\n"
    yield (
        f"`python benchmarks/drift.py --streams {streams} --frames {frames}`, seeds 0 to {streams - 1}, window {DEFAULT_WINDOW}. "
        f"The bound of false drifts is {2 * BEGIN:.0e} per frame and figure.\n"
    )
    yield "| false drifts | reference | frames | events | streams with one | per frame, 95 % interval |"
    yield "|---|---|---|---|---|---|"
    for n in REFERENCES:
        yield false_row("distribution, test alone", n, streams, frames, alone)
    for n in REFERENCES:
        yield false_row("brightness", n, streams, frames, brightness)
    for n in REFERENCES:
        yield false_row("alarms", n, streams, frames, alarms)
    yield ""
    yield "| delay in frames | reference | noticed | median | 95 % | largest |"
    yield "|---|---|---|---|---|---|"
    for n in REFERENCES:
        for factor in (1.3, 1.2, 1.15):
            title = f"brightness times {factor}"
            yield delay_row(title, n, streams, brightness, factor, 0.0)
        for shift in (3.0, 2.0, 1.0):
            title = f"scores higher by {shift:g} standard deviations"
            yield delay_row(title, n, streams, scores, 1.0, shift)


Made = tuple[Callable[[float], bool], Callable[[], bool]]


def alone(reference: Draws) -> Made:
    """Return the test of a distribution without a least change."""
    figure = DistributionFigure(
        "scores", reference.tolist(), DEFAULT_WINDOW, lambda *_: 2.0
    )
    return figure.add, lambda: figure.drifting


def brightness(reference: Draws) -> Made:
    """Return the figure of the brightness."""
    figure = DistributionFigure(
        "brightness",
        light(reference).tolist(),
        DEFAULT_WINDOW,
        change_of_images("brightness"),
    )
    return lambda value: figure.add(
        float(light(value))
    ), lambda: figure.drifting


def scores(reference: Draws) -> Made:
    """Return the figure of the scores."""
    figure = DistributionFigure(
        "scores",
        reference.tolist(),
        DEFAULT_WINDOW,
        change_of_scores(float(np.ptp(reference))),
    )
    return figure.add, lambda: figure.drifting


def alarms(reference: Draws) -> Made:
    """Return the share of alarms, at a threshold for a rate of 1 % or above all values."""
    count = len(reference) // 100
    threshold = float(np.sort(reference)[-1 - count])
    figure = AlarmFigure(count, len(reference), DEFAULT_WINDOW)
    return lambda value: figure.add(value > threshold), lambda: figure.drifting


def light(value: Draws | float) -> Draws:
    """Return the brightness of a standard normal value."""
    return 120 * (1 + SPREAD * np.asarray(value))


def false_row(
    title: str,
    n: int,
    streams: int,
    frames: int,
    make: Callable[[Draws], Made],
) -> str:
    """Return the row of false drifts."""
    events = hit = 0
    for seed in range(streams):
        generator = np.random.default_rng([n, seed])
        add, drifting = make(generator.normal(size=n))
        begun = sum(
            add(value) and drifting()
            for value in generator.normal(size=frames).tolist()
        )
        events, hit = events + begun, hit + (begun > 0)
    low, high = interval_of_rate(events, streams * frames)
    return f"| {title} | {n} | {streams * frames} | {events} | {hit} of {streams} | {low:.1e} to {high:.1e} |"


def delay_row(
    title: str,
    n: int,
    streams: int,
    make: Callable[[Draws], Made],
    factor: float,
    shift: float,
) -> str:
    """Return the row of delays."""
    delays = []
    # A factor of the brightness, in units of its standard deviation.
    offset = shift + (factor - 1) / SPREAD
    for seed in range(streams):
        generator = np.random.default_rng([n, seed])
        add, drifting = make(generator.normal(size=n))
        for value in generator.normal(size=BEFORE).tolist():
            add(value)
        changed = factor * generator.normal(size=AFTER) + offset
        for place, value in enumerate(changed.tolist(), 1):
            if add(value) and drifting():
                delays.append(place)
                break
    if not delays:
        return f"| {title} | {n} | 0 of {streams} | | | |"
    median, most = np.quantile(delays, [0.5, 0.95])
    return f"| {title} | {n} | {len(delays)} of {streams} | {median:.0f} | {most:.0f} | {max(delays)} |"


if __name__ == "__main__":
    raise SystemExit(main())
