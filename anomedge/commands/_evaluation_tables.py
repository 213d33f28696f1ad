"""Print an evaluation: its figures, one column per detector, and its figures by kind of defect."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.table import Column, Table

from anomedge.commands._console import wide_console
from anomedge.evaluation import (
    Evaluation,
    Figure,
    KindFigures,
    LevelFigures,
    Rate,
)
from anomedge.evaluation.changes import METRICS

__all__ = ["show_evaluation"]

_INTERVALS = "intervals: bootstrap over pictures; of rates of pictures, Clopper and Pearson's"
_CHANGES = "in parentheses: change against eager Torch; = is none"
_KINDS = "each kind of defect, with all normal pictures; detectors with equal figures are shown once"
_ROUNDING = 1e-12
_TITLES = {
    "auroc": "AUROC",
    "average_precision": "average precision",
    "aupro": "AUPRO (limit 0.3)",
    "f1": "F1 at threshold",
    "best_f1": "best F1",
    "false_alarm_rate": "false-alarm rate",
    "recall": "recall",
}


def show_evaluation(evaluation: Evaluation) -> None:
    """Print the counts, the figures, the kinds of defect and the notes."""
    console = wide_console()
    for line in _head(evaluation):
        console.print(line, soft_wrap=True)
    console.print(_INTERVALS, soft_wrap=True)
    if any(column.change for column in evaluation.columns):
        console.print(_CHANGES, soft_wrap=True)
    console.print(_figures(evaluation))
    if any(column.kinds for column in evaluation.columns):
        console.print(_KINDS, soft_wrap=True)
        console.print(_kinds(evaluation))
    for line in (*_flips(evaluation), *evaluation.notes):
        console.print(line, soft_wrap=True)


def _head(evaluation: Evaluation) -> Iterator[str]:
    """Yield the lines on the pictures and the thresholds."""
    pictures, first = evaluation.pictures, evaluation.columns[0]
    yield (
        f"{evaluation.dataset}: {pictures.normal} normal and {pictures.anomalous} anomalous pictures"
    )
    pixel = first.pixel
    if pixel is not None:
        yield (
            f"pixels of {pictures.masked} pictures: {pixel.normal:,} normal, {pixel.anomalous:,} anomalous in "
            f"{pixel.regions} regions"
        )
    origin = "local.json's" if evaluation.local_thresholds else "the fit's"
    line = f"threshold {first.image.threshold:.6g}"
    if pixel is not None:
        line += f", pixels {pixel.threshold:.6g}"
    yield f"{line}: {origin}"


def _figures(evaluation: Evaluation) -> Table:
    table = Table(
        Column("figure\n[95 % interval]", no_wrap=True),
        box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0),
    )  # fmt: skip
    for column in evaluation.columns:
        table.add_column(f"{column.name}\n{column.version}", no_wrap=True)
    for level in ("image", "pixel"):
        for metric in METRICS:
            cells = list(_cells(evaluation, level, metric))
            if any(cells):
                table.add_row(f"{level} {_TITLES[metric]}", *cells)
    return table


def _cells(evaluation: Evaluation, level: str, metric: str) -> Iterator[str]:
    """Yield the cells of one row; empty for an absent figure."""
    for column in evaluation.columns:
        figures: LevelFigures | None = getattr(column, level)
        text = "" if figures is None else _cell(figures, metric)
        change = column.change.get(f"{level} {metric}")
        yield text if change is None else _with_change(text, change)


def _with_change(text: str, change: float) -> str:
    """Append a change to the last line; one by rounding of a sum is none."""
    shown = "=" if abs(change) < _ROUNDING else f"{change:+.1e}"
    return f"{text} ({shown})"


def _cell(figures: LevelFigures, metric: str) -> str:
    figure: Figure | None = getattr(figures, metric)
    if figure is None:
        return ""
    text = _rate(figure) if isinstance(figure, Rate) else _metric(figure)
    if metric == "best_f1" and figures.best_threshold is not None:
        first, *others = text.split("\n")
        return "\n".join([f"{first} at {figures.best_threshold:.6g}", *others])
    return text


def _metric(figure: Figure) -> str:
    return f"{figure.value:.4f}{_interval(figure, '.3f')}"


def _rate(rate: Rate) -> str:
    share = f"{rate.count:,} of {rate.of:,}, {rate.value:.1%}"
    return share + _interval(rate, ".1%")


def _interval(figure: Figure, form: str) -> str:
    if figure.low is None or figure.high is None:
        return ""
    return f"\n[{figure.low:{form}}, {figure.high:{form}}]"


def _kinds(evaluation: Evaluation) -> Table:
    of_maps = ("pixel AUROC", "AUPRO") if evaluation.has_map else ()
    table = Table(
        Column("kind", no_wrap=True), "detector", "recall", "image AUROC", *of_maps,
        box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0),
    )  # fmt: skip
    for place, first in enumerate(evaluation.columns[0].kinds):
        shown: list[list[str]] = []
        for column in evaluation.columns:
            cells = _kind_cells(column.kinds[place])
            if cells not in shown:
                kind = "" if shown else first.kind
                table.add_row(kind, column.name, *cells)
                shown.append(cells)
    return table


def _kind_cells(figures: KindFigures) -> list[str]:
    image, pixel = figures.image, figures.pixel
    cells = [_cell(image, "recall"), _cell(image, "auroc")]
    if pixel is not None:
        cells += [_cell(pixel, "auroc"), _cell(pixel, "aupro")]
    return cells


def _flips(evaluation: Evaluation) -> Iterator[str]:
    """Yield a line for each runtime that is compared with eager Torch."""
    for column in evaluation.columns:
        if column.change:
            names = ", ".join(column.flips[:5])
            shown = f": {names}" if names else ""
            yield (
                f"{column.name}: {len(column.flips)} decisions differ from eager Torch's{shown}"
            )
