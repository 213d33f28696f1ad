"""Arithmetic and text of the result table: measurements beside goals and limits. Imports only the standard library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import NamedTuple

KINDS = ("ratio", "limit", "bytes")
SHORT = {"onnxruntime": "ORT", "openvino": "OV"}
Pair = tuple[float, float]  # ours, anomalib's


class Goal(NamedTuple):
    """Goals: share of anomalib's bytes; optionally ratios by runtime and the share of the limit."""

    bytes: float
    ratio: Mapping[str, float] = {}
    limit: float | None = None


GOALS = {
    "padim": Goal(0.55, {"onnxruntime": 1.5, "openvino": 1.2}, 1.10),
    "padim.fp16-storage": Goal(0.3),
    "patchcore-10000": Goal(1.0, {"onnxruntime": 1.4, "openvino": 1.35}, 1.0),
    "patchcore-20000": Goal(1.0, {"onnxruntime": 1.6, "openvino": 1.5}, 1.0),
}


@dataclass(frozen=True)
class Row:
    """Measurements of one detector under one runtime at one batch size.

    Attributes:
        rounds: milliseconds per call of `ours`, `theirs`, `backbone` and `part`, one number per round, taken in turns.
        errors: `score`, `map` and `eager`, the largest difference as a share of the range of anomalib's values.
        tolerance: largest error allowed, for this precision.
        bytes: size of the files that this runtime reads, ours and theirs.
        peak, load: peak resident bytes and load seconds of a process that opens this graph alone.
    """

    case: str
    runtime: str
    batch: int
    rounds: Mapping[str, Sequence[float]]
    errors: Mapping[str, float]
    tolerance: float
    bytes: Pair
    peak: tuple[int | None, int | None]
    load: Pair

    @property
    def agrees(self) -> bool:
        """Whether raw scores and maps agree within the tolerance."""
        return max(self.errors.values()) <= self.tolerance

    @property
    def ratios(self) -> list[float]:
        """anomalib's milliseconds divided by ours, per round."""
        return [
            b / a
            for a, b in zip(
                self.rounds["ours"], self.rounds["theirs"], strict=True
            )
        ]

    @property
    def shares_of_limit(self) -> list[float]:
        """Our milliseconds divided by the limit's, per round."""
        parts = zip(self.rounds["backbone"], self.rounds["part"], strict=True)
        return [
            a / (b + c)
            for a, (b, c) in zip(self.rounds["ours"], parts, strict=True)
        ]


def table(rows: Sequence[Row]) -> str:
    """Return the table: one row for each detector, runtime and batch size."""
    return "\n".join(
        [
            "| detector | runtime | batch | ours, ms | anomalib, ms | ratio | limit, ms | ours / limit | errors: score, map "
            "| MB | peak MB | load, s |",
            "|---|---|---|---|---|---|---|---|---|---|---|---|",
            *(f"| {' | '.join(_cells(row))} |" for row in rows),
        ]
    )


def goals(rows: Sequence[Row]) -> str:
    """Return the table of goals and measured values."""
    lines = [
        "| detector | runtime | batch | anomalib / ours | ours / limit | bytes, ours / anomalib |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        if found := judged(row):
            cells = [
                _name(row.case),
                SHORT[row.runtime],
                str(row.batch),
                *(_verdict(found.get(name)) for name in KINDS),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


class Verdict(NamedTuple):
    """Measured value, goal, and whether the goal is met."""

    measured: float
    wanted: str
    met: bool


def judged(row: Row) -> dict[str, Verdict]:
    """Return the verdict on each goal of a row, by kind."""
    goal, found = GOALS.get(row.case), {}
    if goal is None:
        return found
    if row.runtime in goal.ratio:
        ratio, least = median(row.ratios), goal.ratio[row.runtime]
        found["ratio"] = Verdict(ratio, f">= {least:g}", ratio >= least)
    if goal.limit is not None:
        # A goal of 1 means below the limit; a goal of 1.10 includes its end.
        share, below = median(row.shares_of_limit), goal.limit == 1
        found["limit"] = Verdict(
            share,
            f"{'<' if below else '<='} {goal.limit:g}",
            share < goal.limit or (share == goal.limit and not below),
        )
    size = row.bytes[0] / row.bytes[1]
    found["bytes"] = Verdict(size, f"<= {goal.bytes:g}", size <= goal.bytes)
    return found


def _verdict(verdict: Verdict | None) -> str:
    if verdict is None:
        return "-"
    return f"{verdict.measured:.3f} {verdict.wanted} {'met' if verdict.met else '**not met**'}"


def spread(values: Sequence[float]) -> str:
    """Return the median, with the quartiles if there are at least five values.

    >>> spread([1.0, 2.0, 3.0, 4.0, 5.0])
    '3.00 (2.00 to 4.00)'
    """
    if len(values) < 4:
        return f"{median(values):.2f}"
    low, middle, high = quantiles(values, n=4, method="inclusive")
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def _cells(row: Row) -> Iterator[str]:
    backbone, part = (median(row.rounds[name]) for name in ("backbone", "part"))
    yield from (_name(row.case), SHORT[row.runtime], str(row.batch))
    yield from (
        f"{median(row.rounds[name]):.1f}" for name in ("ours", "theirs")
    )
    yield spread(row.ratios)
    yield f"{backbone + part:.1f} = {backbone:.1f} + {part:.1f}"
    yield spread(row.shares_of_limit)
    yield f"{row.errors['score']:.0e}, {row.errors['map']:.0e}{'' if row.agrees else ' **over**'}"
    yield _over(*(size / 1e6 for size in row.bytes), digits=1)
    yield (
        "-"
        if None in row.peak
        else _over(*((peak or 0) / 1e6 for peak in row.peak), digits=0)
    )
    yield _over(*row.load, digits=2)


def _over(ours: float, theirs: float, digits: int) -> str:
    return f"{ours:.{digits}f} / {theirs:.{digits}f} = {ours / theirs:.3f}"


def _name(case: str) -> str:
    fitted, _, precision = case.partition(".")
    name, _, bank = fitted.partition("-")
    shown = {"padim": "PaDiM ResNet18", "patchcore": "PatchCore WRN50"}[
        name
    ] + (f", {int(bank):,}" if bank else "")
    return shown + (f", {precision}" if precision else "")
