"""Prove and time one bundle in one precision, in a separate process.

The process is separate because a crash of a vendor's library must not end the report, and because the environment sets
TF32 once per process.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from _gpu.targets import Target, unavailable

from anomedge import runtimes
from anomedge.bundle import Bundle
from anomedge.errors import AnomedgeError
from anomedge.images import Frame
from anomedge.parity import Plan, Reference, prove
from anomedge.parity.pictures import synthetic
from anomedge.parity.plan import batches_of
from anomedge.runtimes import Session
from anomedge.verification import reference_of

__all__ = ["check"]

CALLS = 3


@dataclass
class _Cell:
    """Timing of a target at a batch size."""

    row: dict[str, Any]
    session: Session
    frames: Frame
    milliseconds: list[float] = field(default_factory=list)
    error: str = ""

    def turn(self) -> None:
        """Make one uncounted call, which absorbs the effects of the previous cell, then the counted calls with fetched results."""
        if self.error:
            return
        try:
            self.session.run({"frames": self.frames})
            for _ in range(CALLS):
                start = time.perf_counter()
                self.session.run({"frames": self.frames})
                self.milliseconds.append((time.perf_counter() - start) * 1000)
        except AnomedgeError as error:
            self.error = _line(error)

    def timing(self) -> dict[str, Any]:
        """Return median and 95th percentile of milliseconds per call, and frames per second."""
        count, times = len(self.frames), self.milliseconds
        if self.error:
            return {"batch": count, "error": self.error}
        return {
            "batch": count,
            "calls": len(times),
            "median": float(np.median(times)),
            "p95": float(np.percentile(times, 95)),
            "throughput": 1000 * count * len(times) / sum(times),
        }


def check(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each target: not run, with the reason; failed, with the error; or proven and timed."""
    bundle, precision = Bundle.open(asked["bundle"]), asked["precision"]
    targets = [Target(**target) for target in asked["targets"]]
    rows: list[dict[str, Any]] = [
        {"target": target.label} for target in targets
    ]
    if runtimes.variant_of(precision) not in bundle.manifest.variants:
        return [
            row | {"not_run": f"the bundle has no {precision} variant"}
            for row in rows
        ]
    fixed = bundle.manifest.input.batch
    batches = asked["batches"] if fixed == "dynamic" else batches_of(bundle)
    probe = Path(asked["probe"]) if asked["probe"] else None
    plans: list[tuple[dict[str, Any], Plan]] = []
    for row, target in zip(rows, targets, strict=True):
        if reason := unavailable(target, precision, probe):
            row["not_run"] = reason
        else:
            plans.append(
                (
                    row,
                    Plan(
                        [target.runtime],
                        batches,
                        precision,
                        target.device,
                        asked["threads"],
                    ),
                )
            )
    if not plans:
        return rows
    model, images = asked["model"], [Path(folder) for folder in asked["images"]]
    try:
        reference, _ = reference_of(
            bundle,
            plans[0][1],
            Path(model) if model else None,
            images if model else [],
        )
    # Without a reference the use is wrong; no proof failed.
    except AnomedgeError as error:
        for row, _ in plans:
            row["not_run"] = _line(error)
        return rows
    _prove(bundle, plans, reference)
    _time(
        bundle,
        [(row, plan) for row, plan in plans if row["passed"]],
        asked["rounds"],
    )
    return rows


def _prove(
    bundle: Bundle,
    plans: Sequence[tuple[dict[str, Any], Plan]],
    reference: Reference,
) -> None:
    for row, plan in plans:
        try:
            certificate = prove(bundle, reference, plan)
        except AnomedgeError as error:
            row |= {"passed": False, "failures": [_line(error)]}
            continue
        stages = [
            c
            for c in certificate.checks
            if c.kind == "stage" and c.error is not None
        ]
        row |= {
            "passed": certificate.passed,
            "failures": list(certificate.failures),
            "reference": certificate.reference,
            "pictures": certificate.pictures.total,
            "cells": [cell.to_json() for cell in certificate.cells],
            "worst_stage": max(stages, key=lambda c: c.error or 0.0).to_json()
            if stages
            else None,
        }


def _time(
    bundle: Bundle, plans: Sequence[tuple[dict[str, Any], Plan]], rounds: int
) -> None:
    with ExitStack() as stack:
        cells: list[_Cell] = []
        for row, plan in plans:
            try:
                start = time.perf_counter()
                session = stack.enter_context(
                    plan.open(bundle, plan.runtimes[0])
                )
            except AnomedgeError as error:
                row |= {"passed": False, "failures": [_line(error)]}
                continue
            row["open_milliseconds"] = (time.perf_counter() - start) * 1000
            row["version"], row["running_on"] = (
                session.version,
                session.running_on,
            )
            placement = getattr(session, "placement", None)
            row["nodes"] = placement.nodes if placement else None
            cells += [
                _Cell(row, session, _frames(bundle, batch))
                for batch in plan.batches
            ]
        for turn in range(rounds if cells else 0):
            start_at = turn % len(cells)
            for cell in cells[start_at:] + cells[:start_at]:
                cell.turn()
        for cell in cells:
            cell.row.setdefault("timings", []).append(cell.timing())
            if cell.error:
                cell.row["passed"] = False
                cell.row["failures"] = [
                    *cell.row["failures"],
                    f"batch {len(cell.frames)}: {cell.error}",
                ]


def _frames(bundle: Bundle, batch: int) -> Frame:
    pictures = synthetic(bundle.manifest.input.frame, count=min(batch, 4))
    return np.stack([pictures[i % len(pictures)].frame() for i in range(batch)])


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


if __name__ == "__main__":
    _, given, target_file = sys.argv
    Path(target_file).write_text(
        json.dumps(check(json.loads(given))), encoding="utf-8"
    )
