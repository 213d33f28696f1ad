"""Prove one runtime in one precision: cells, checks, stages and a diagnosis."""

from __future__ import annotations

from dataclasses import dataclass

from anomedge.bundle import Bundle, Int8Search
from anomedge.errors import AnomedgeError, BundleError, RuntimeFailure
from anomedge.parity.cells import cells_of
from anomedge.parity.comparison import Comparison
from anomedge.parity.composition import CompositionMeter
from anomedge.parity.contract import check_contract, check_copies
from anomedge.parity.expected import Kind, kind_of_row
from anomedge.parity.half import check_half
from anomedge.parity.layout import check_layouts
from anomedge.parity.localise import localise
from anomedge.parity.masks import MaskMeter
from anomedge.parity.plan import Plan
from anomedge.parity.records import (
    Cell,
    CheckResult,
    Diagnosis,
    StageDeviation,
)
from anomedge.parity.scores import ScoreMeter
from anomedge.parity.search import CHECK as SEARCH
from anomedge.parity.search import check_search
from anomedge.parity.stages import check_stages

__all__ = ["RuntimeProof", "prove_runtime"]


@dataclass(frozen=True)
class RuntimeProof:
    """Results of one runtime in one precision.

    Attributes:
        cells: one row per batch size.
        checks: contract, copies in a batch, pixels and stages.
        layout_checks: checks of the bundle's layouts.
        stages: own error of each stage; empty if stages were not examined.
        diagnosis: the first faulty stage; None if stages were not examined.
        notes: cautions on masks.
    """

    cells: tuple[Cell, ...]
    checks: tuple[CheckResult, ...]
    layout_checks: tuple[CheckResult, ...] = ()
    stages: tuple[StageDeviation, ...] = ()
    diagnosis: Diagnosis | None = None
    notes: tuple[str, ...] = ()


def prove_runtime(
    bundle: Bundle,
    comparison: Comparison,
    plan: Plan,
    runtime: str,
    *,
    stages: bool = False,
) -> RuntimeProof:
    """Run every comparison and check of one runtime.

    Args:
        bundle: the bundle to prove.
        comparison: the reference, and the limits of its errors.
        plan: batch sizes, precision and options of the sessions.
        runtime: name of the runtime.
        stages: examine each stage alone even if nothing failed.

    Raises:
        AnomedgeError: the runtime cannot run the bundle, or, if `stages` is
            set, the stages cannot be examined.
    """
    masks = MaskMeter(comparison)
    scores = ScoreMeter(comparison, plan.precision)
    compositions = CompositionMeter(comparison, plan.seed)
    with plan.open(bundle, runtime) as session:
        cells = tuple(
            cells_of(session, comparison, plan, [masks, scores], compositions)
        )
        checks = [
            *check_contract(session, bundle.manifest),
            *check_copies(session, comparison, plan.batches),
            *compositions.checks(),
            *masks.checks(session.name),
            scores.check(session.name),
            *check_half(bundle, plan.precision, session.name),
        ]
    rows: list[StageDeviation] = []
    diagnosis: Diagnosis | None = None
    tapped, runs = _check_tapped(bundle, comparison, plan, runtime)
    checks += tapped
    if comparison.reference.stages:
        if stages and runs:
            rows, diagnosis = localise(bundle, comparison, plan, runtime)
        elif _has_numeric_failure(cells, checks):
            rows, diagnosis = _localise_if_possible(
                bundle, comparison, plan, runtime
            )
    layout_checks = check_layouts(bundle, comparison, plan, runtime)
    return RuntimeProof(
        cells=cells,
        checks=tuple(checks),
        layout_checks=tuple(layout_checks),
        stages=tuple(rows),
        diagnosis=diagnosis,
        notes=tuple(masks.cautions(runtime)),
    )


def _check_tapped(
    bundle: Bundle, comparison: Comparison, plan: Plan, runtime: str
) -> tuple[list[CheckResult], bool]:
    """Return the checks of the graph of stages, and whether it could be run.

    A graph that the runtime cannot run is a fault of the bundle: its checks fail, and the command was right.
    """
    search = bundle.manifest.search
    if not comparison.reference.stages and search is None:
        return [], True
    try:
        with plan.open(bundle, runtime, stages=True) as session:
            return [
                *check_stages(session, comparison),
                *check_search(session, comparison, search),
            ], True
    except (BundleError, RuntimeFailure) as error:
        names: dict[str, Kind] = {
            name: kind_of_row(name)
            for stages in comparison.reference.stages.values()
            for name in stages
        }
        return [
            CheckResult(
                runtime=runtime,
                kind=kind,
                name=name,
                detail=f"the graph of stages cannot be run: {error}",
                passed=False,
            )
            for name, kind in {**names, **_of_search(search)}.items()
        ], False


def _of_search(search: Int8Search | None) -> dict[str, Kind]:
    return {} if search is None else {SEARCH: "search"}


def _has_numeric_failure(
    cells: tuple[Cell, ...], checks: list[CheckResult]
) -> bool:
    """Whether an error or a decision failed, and not just the contract."""
    if any(cell.failures for cell in cells):
        return True
    return any(not check.passed for check in checks if check.kind != "contract")


def _localise_if_possible(
    bundle: Bundle, comparison: Comparison, plan: Plan, runtime: str
) -> tuple[list[StageDeviation], Diagnosis]:
    """Examine the stages; turn an error into a failed diagnosis.

    A failed proof must not end in another error if stages were not requested.
    """
    try:
        return localise(bundle, comparison, plan, runtime)
    except AnomedgeError as error:
        return [], Diagnosis(
            runtime=runtime,
            precision=plan.precision,
            stage=None,
            passed=False,
            text=f"the stage that fails could not be found: {error}",
        )
