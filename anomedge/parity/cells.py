"""Compare all pictures under one runtime, one cell per batch size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from anomedge.parity.comparison import Comparison
from anomedge.parity.composition import CompositionMeter
from anomedge.parity.ground_truth import AurocPair
from anomedge.parity.masks import MaskMeter
from anomedge.parity.outputs import Outputs, collect
from anomedge.parity.plan import Plan
from anomedge.parity.records import Cell
from anomedge.parity.scores import ScoreMeter
from anomedge.parity.verdict import failures_of_cell
from anomedge.runtimes import Session

__all__ = ["cells_of"]


def cells_of(
    session: Session,
    comparison: Comparison,
    plan: Plan,
    meters: Sequence[MaskMeter | ScoreMeter] = (),
    compositions: CompositionMeter | None = None,
) -> Iterator[Cell]:
    """Yield one cell for each batch size of the plan; add the outputs of each to `meters` and `compositions`.

    With compositions, batches above 1 are made in their order.
    """
    reference = comparison.reference
    original = comparison.ground_truth.auroc(reference.outputs)
    single: Outputs | None = None
    for batch in plan.batches:
        order = [*range(len(reference.pictures))]
        if compositions is not None and batch > 1:
            order = compositions.order(session.name, batch)
        outputs = _in_order(session, comparison, batch, order)
        for meter in meters:
            meter.add(outputs)
        batch_error = None
        if batch == 1:
            single = outputs
        else:
            others = single or _in_shifted_batches(session, comparison, batch)
            batch_error = comparison.batch_error(others, outputs)
            if compositions is not None:
                compositions.add(session, batch, outputs)
        yield _cell(
            session, comparison, plan.precision, batch, outputs, batch_error,
            original,
        )  # fmt: skip


def _cell(
    session: Session,
    comparison: Comparison,
    precision: str,
    batch: int,
    outputs: Outputs,
    batch_error: float | None,
    original: AurocPair,
) -> Cell:
    difference = comparison.difference(outputs)
    copy = comparison.ground_truth.auroc(outputs)
    return Cell(
        runtime=session.name,
        version=session.version,
        running_on=session.running_on,
        precision=precision,
        batch=batch,
        pictures=len(comparison.reference.pictures),
        batch_error=batch_error,
        image_auroc=copy.image,
        image_auroc_change=_change(original.image, copy.image),
        pixel_auroc=copy.pixel,
        pixel_auroc_change=_change(original.pixel, copy.pixel),
        failures=failures_of_cell(
            difference, batch_error, comparison.tolerance
        ),
        **difference._asdict(),
    )


def _in_shifted_batches(
    session: Session, comparison: Comparison, batch: int
) -> Outputs:
    """Run the pictures shifted by one place, so that batches differ.

    It replaces the run at batch 1 for a graph that refuses single pictures.
    """
    count = len(comparison.reference.pictures)
    return _in_order(session, comparison, batch, [*range(1, count), 0])


def _in_order(
    session: Session, comparison: Comparison, batch: int, order: Sequence[int]
) -> Outputs:
    """Run the pictures in an order; return the outputs in the reference's."""
    pictures = [comparison.reference.pictures[place] for place in order]
    outputs = collect(session, pictures, comparison.frame, batch)
    return outputs.at(np.argsort(order).tolist())


def _change(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before
