"""Print an evaluation: its figures, one column per detector, and its figures by kind of defect."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.table import Column, Table

from anomedge.commands._console import wide_console
from anomedge.evaluation import Evaluation, Figure, LevelFigures, Rate
from anomedge.evaluation.changes import METRICS

__all__ = ["show_evaluation"]

_TITLES = {
    "auroc": "AUROC",
    "average_precision": "average precision",
    "aupro": "AUPRO, up to a false-positive rate of 0.3",
    "f1": "F1 at the threshold",
    "best_f1": "best F1",
    "false_alarm_rate": "false-alarm rate",
    "recall": "recall",
}


def show_evaluation(evaluation: Evaluation) -> None:
    """Print the counts, the figures, the kinds of defect and the notes."""
    console = wide_console()
    console.print("\n".join(_head(evaluation)), soft_wrap=True)
    console.print(_figures(evaluation))
    if any(column.kinds for column in evaluation.columns):
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
        "figure [95 % interval]",
        title="figures; intervals from a bootstrap over pictures, of rates of pictures exact (Clopper and Pearson)",
        title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0),
    )  # fmt: skip
    changed = any(column.change for column in evaluation.columns)
    for column in evaluation.columns:
        table.add_column(f"{column.name}\n{column.version}")
        if column.change:
            table.add_column("change")
    for level in ("image", "pixel"):
        for metric in METRICS:
            cells = list(_cells(evaluation, level, metric))
            if any(cells):
                table.add_row(f"{level} {_TITLES[metric]}", *cells)
    if not changed:
        table.caption = None
    return table


def _cells(evaluation: Evaluation, level: str, metric: str) -> Iterator[str]:
    """Yield the cells of one row; empty for an absent figure."""
    for column in evaluation.columns:
        figures: LevelFigures | None = getattr(column, level)
        yield "" if figures is None else _cell(figures, metric)
        if column.change:
            change = column.change.get(f"{level} {metric}")
            yield "" if change is None else f"{change:+.1e}"


def _cell(figures: LevelFigures, metric: str) -> str:
    figure: Figure | None = getattr(figures, metric)
    if figure is None:
        return ""
    text = _rate(figure) if isinstance(figure, Rate) else _metric(figure)
    if metric == "best_f1" and figures.best_threshold is not None:
        return f"{text}\nat {figures.best_threshold:.6g}"
    return text


def _metric(figure: Figure) -> str:
    return f"{figure.value:.4f}{_interval(figure, '.4f')}"


def _rate(rate: Rate) -> str:
    return f"{rate.count:,} of {rate.of:,}\n{rate.value:.2%}{_interval(rate, '.2%')}"


def _interval(figure: Figure, form: str) -> str:
    if figure.low is None or figure.high is None:
        return ""
    return f" [{figure.low:{form}}, {figure.high:{form}}]"


def _kinds(evaluation: Evaluation) -> Table:
    table = Table(
        Column("kind", no_wrap=True), "detector", "found", "recall", "image AUROC", "pixel AUROC", "AUPRO",
        title="each kind of defect, with all normal pictures", title_justify="left",
        box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0),
    )  # fmt: skip
    for place in range(len(evaluation.columns[0].kinds)):
        for number, column in enumerate(evaluation.columns):
            found = column.kinds[place]
            recall, pixel = found.image.recall, found.pixel
            table.add_row(
                "" if number else found.kind,
                column.name,
                f"{recall.count} of {recall.of}" if recall else "",
                f"{recall.value:.0%}{_interval(recall, '.0%')}"
                if recall
                else "",
                _cell(found.image, "auroc"),
                _cell(pixel, "auroc") if pixel else "",
                _cell(pixel, "aupro") if pixel else "",
            )
    return table


def _flips(evaluation: Evaluation) -> Iterator[str]:
    """Yield a line for each runtime that is compared with eager Torch."""
    for column in evaluation.columns:
        if column.change:
            names = ", ".join(column.flips[:5])
            shown = f": {names}" if names else ""
            yield (
                f"{column.name}: {len(column.flips)} decisions differ from eager Torch's{shown}"
            )
