"""Notes on an evaluation: figures that are absent, and cautions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from anomedge.evaluation.figures import LEAST
from anomedge.evaluation.records import (
    Column,
    Figure,
    PictureTotals,
)
from anomedge.parity.records import FEW_LABELLED

__all__ = ["few_pictures", "notes_on"]

_EXACT = 24
"""Bits of map values that were not rounded."""


def notes_on(
    totals: PictureTotals,
    columns: Sequence[Column],
    vanished: int,
    has_map: bool = True,
) -> Iterator[str]:
    """Yield one sentence for each absent figure and each caution.

    Args:
        totals: numbers of pictures.
        columns: figures of all detectors.
        vanished: number of masks without a pixel on the map's grid.
        has_map: whether the detector gives an anomaly map.
    """
    yield from _absent(totals)
    if has_map:
        yield from _without_mask(totals)
    else:
        yield "the detector gives no anomaly map: figures of pixels are absent"
    if totals.unlabelled:
        yield f"{totals.unlabelled} pictures without a label are left out"
    if totals.fitted:
        yield f"{totals.fitted} pictures were fitted on: figures of pictures that the detector knows are too good"
    if vanished:
        yield (
            f"{vanished} masks have no pixel on the map's grid (too small, or cut off): their pixels count as normal"
        )
    yield from few_pictures(totals.normal, totals.anomalous)
    if any(_without_width(column.image.auroc) for column in columns):
        yield "an interval without width says only that every replicate gave the same value; other pictures may not"
    yield from _rounded(columns)


def few_pictures(normal: int, anomalous: int) -> Iterator[str]:
    """Yield a caution if there are few pictures of a class.

    >>> list(few_pictures(60, 20))
    []
    """
    if normal and anomalous and min(normal, anomalous) < FEW_LABELLED:
        yield (
            f"{normal} normal and {anomalous} anomalous pictures are few: expected at least {FEW_LABELLED} of each; other pictures may "
            f"give other figures; no bootstrap of fewer than {LEAST}"
        )


def _absent(totals: PictureTotals) -> Iterator[str]:
    for given, missing in (("normal", "anomalous"), ("anomalous", "normal")):
        if not getattr(totals, missing):
            yield (
                f"all {getattr(totals, given)} pictures are {given}: figures that need {missing} ones, such as AUROC, are absent"
            )


def _without_mask(totals: PictureTotals) -> Iterator[str]:
    without = totals.normal + totals.anomalous - totals.masked
    if not totals.anomalous:
        return
    if without == totals.anomalous:
        yield "no anomalous picture has a mask: figures of pixels are absent"
    elif without:
        yield (
            f"{without} of {totals.anomalous} anomalous pictures have no mask: figures of pixels leave them out"
        )


def _without_width(figure: Figure | None) -> bool:
    if figure is None or figure.low is None:
        return False
    return figure.low == figure.high


def _rounded(columns: Sequence[Column]) -> Iterator[str]:
    """Yield a note if the map values of a detector were rounded."""
    rounded = [c for c in columns if (c.map_bits or _EXACT) < _EXACT]
    errors = [c.pixel.auroc_error for c in rounded if c.pixel is not None]
    if errors:
        bits = min(column.map_bits or _EXACT for column in rounded)
        error = max(errors)
        yield (
            f"map values are rounded to {bits} significant bits, because too many differ; the AUROC of pixels is off by at "
            f"most {error:.0e}"
        )
