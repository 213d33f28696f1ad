"""Differences between the figures of a runtime and those of eager Torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from anomedge.evaluation.records import Column, Figure, LevelFigures

__all__ = ["METRICS", "with_changes"]

METRICS = (
    "auroc",
    "average_precision",
    "aupro",
    "f1",
    "best_f1",
    "false_alarm_rate",
    "recall",
)
"""Fields of `LevelFigures` that are figures, in the order of tables."""

_ORIGINAL = "eager torch"


def with_changes(
    columns: Sequence[Column], flips: Mapping[str, tuple[str, ...]]
) -> Iterator[Column]:
    """Yield the columns, with changes and flips against eager Torch.

    Args:
        columns: figures of all detectors; eager Torch, if present, is first.
        flips: for each detector, the pictures that it and the detector of the
            first column decide differently.
    """
    first, *others = columns
    yield first
    for column in others:
        if first.name != _ORIGINAL:
            yield column
            continue
        change = dict(_changes("image", first.image, column.image))
        if first.pixel is not None and column.pixel is not None:
            change |= dict(_changes("pixel", first.pixel, column.pixel))
        yield column.model_copy(
            update={"change": change, "flips": flips[column.name]}
        )


def _changes(
    level: str, before: LevelFigures, after: LevelFigures
) -> Iterator[tuple[str, float]]:
    """Yield the name and the change of each figure that both have."""
    for name in METRICS:
        one, other = getattr(before, name), getattr(after, name)
        if isinstance(one, Figure) and isinstance(other, Figure):
            yield f"{level} {name}", other.value - one.value
