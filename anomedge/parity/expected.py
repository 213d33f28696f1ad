"""The rows that a proof always writes; the proof takes them from here, and readers judge certificates by them.

A row that is missing, unknown or repeated makes a certificate incomplete (`anomedge.parity.completeness`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Literal, NamedTuple

import numpy as np

from anomedge.bundle import Manifest
from anomedge.errors import InputError
from anomedge.layouts import LAYOUTS, Layout, LayoutOutput
from anomedge.parity.deviations import PIXEL_STAGES
from anomedge.parity.half import HALF, is_half
from anomedge.parity.masks import CHECK as NEAR_THRESHOLD
from anomedge.parity.masks import allowed_near
from anomedge.parity.reference import EAGER, GOLDEN, ORIGINALS
from anomedge.parity.scores import SCORES, allowed_typical
from anomedge.parity.search import CHECK as SEARCH
from anomedge.parity.statements import needs_ranges
from anomedge.parity.tolerances import Tolerance
from anomedge.parity.verdict import (
    CLAUSES,
    MAP_CLAUSE,
    composition_at,
    copies_at,
)
from anomedge.runtimes import variant_of
from anomedge.threshold import Decision

__all__ = [
    "Kind",
    "Row",
    "allowed_of",
    "between_levels",
    "bundle_checks",
    "checks_left_out",
    "checks_of_bundle",
    "checks_of_layout",
    "checks_of_runtime",
    "clauses",
    "graphs_of",
    "kind_of_row",
    "layouts_of",
]

Kind = Literal["pixels", "stage", "contract", "bundle", "search"]

_ALWAYS = ("tolerances", "graphs", "operators")
_WITH_MODEL = ("decision", "geometry", "licence", "quantisation")
_INTERFACES = "interfaces"
_OF_FILES = (_INTERFACES, "opset", "weights", "segments")
_OF_STATEMENTS = ("golden statements", "ranges")
_ROUNDED = "rounded"
_ROUNDING = 4 * float(np.finfo(np.float32).eps)


class Row(NamedTuple):
    """A check that a proof writes; `allowed` is its largest error, None for a check without a number."""

    kind: Kind
    name: str
    allowed: float | None = None


def bundle_checks(
    *, model: bool, stages: bool = True, golden: bool = True, ranges: bool
) -> tuple[str, ...]:
    """Return the names of the checks of the bundle itself, in order.

    Args:
        model: whether the reference is eager Torch on a model file.
        stages: whether the reference has stages.
        golden: whether golden frames are the reference, or were run by eager Torch.
        ranges: whether value ranges were computed from the model file.
    """
    needed = {
        **dict.fromkeys(_ALWAYS, True),
        "scale": not model,
        **dict.fromkeys(_WITH_MODEL, model),
        "stages": stages or not model,
        "golden frames": golden and model,
        **dict.fromkeys(_OF_FILES, True),
        "golden statements": golden,
        "ranges": ranges,
    }
    return tuple(name for name, is_needed in needed.items() if is_needed)


def checks_of_bundle(manifest: Manifest, reference: str) -> list[Row]:
    """Return the checks of the bundle itself that a proof against a reference has."""
    names = bundle_checks(
        model=reference == EAGER,
        golden=bool(manifest.golden) and reference in ORIGINALS,
        ranges=reference == EAGER and needs_ranges(manifest),
    )
    return [Row("bundle", name) for name in names]


def checks_left_out(failed: Collection[str]) -> set[str]:
    """Return the checks of the bundle itself that a proof may leave out because of checks that failed.

    >>> sorted(checks_left_out(["interfaces", "scale"]))
    ['golden statements', 'opset', 'ranges', 'segments', 'weights']
    >>> checks_left_out(["opset"])
    set()
    """
    if _INTERFACES not in failed:
        return set()
    return {*_OF_FILES, *_OF_STATEMENTS} - {_INTERFACES}


def clauses(has_map: bool) -> tuple[str, ...]:
    """Return the clauses of the contract of a detector with or without a map, in order."""
    return tuple(name for name in CLAUSES if has_map or name != MAP_CLAUSE)


def checks_of_runtime(
    manifest: Manifest,
    precision: str,
    batches: Iterable[int],
    reference: str,
    tolerance: Tolerance,
) -> Iterator[Row]:
    """Yield the checks of one runtime in one precision.

    Args:
        manifest: of the bundle; it has the precision's variant.
        precision: of the bundle, or a mode of the runtime.
        batches: batch sizes of the plan.
        reference: the reference's source.
        tolerance: largest errors allowed.
    """
    for name in clauses(manifest.has_map):
        yield Row("contract", name)
    for batch in batches:
        if batch > 1:
            yield Row("contract", copies_at(batch))
            yield Row("contract", composition_at(batch), tolerance.batch)
    if manifest.has_map:
        yield Row("contract", NEAR_THRESHOLD, allowed_near(tolerance))
    yield Row("contract", SCORES, allowed_typical(precision, tolerance))
    if is_half(precision):
        yield Row("contract", HALF)
    for name in _stage_rows(manifest, reference):
        yield Row(kind_of_row(name), name, tolerance.at(name))
    if manifest.search is not None:
        yield Row("search", SEARCH)
    for layout in layouts_of(manifest, precision):
        yield from _checks_of_named_layout(layout, manifest, tolerance)


def kind_of_row(stage: str) -> Literal["pixels", "stage"]:
    """Return the kind of the check of a stage."""
    return "pixels" if stage in PIXEL_STAGES else "stage"


def layouts_of(manifest: Manifest, precision: str) -> list[str]:
    """Return the layouts that a precision's proof checks; one as IR alone fails the check of the graphs."""
    variant = manifest.variants[variant_of(precision)]
    return [name for name in variant.layouts() if variant.find(name)]


def checks_of_layout(
    layout: type[Layout], manifest: Manifest, tolerance: Tolerance
) -> list[Row]:
    """Return the checks of a layout's graph, in order: labels come before numbers."""
    outputs = sorted(
        layout.outputs_of(manifest.has_map).items(),
        key=lambda item: item[1].form != "label",
    )
    return [
        Row("contract", f"{layout.name} outputs"),
        Row("contract", f"{layout.name} metadata"),
        *([Row("contract", between_levels(layout))] if layout.rounds else []),
        *(
            Row(
                "contract",
                f"{layout.name} {name}",
                allowed_of(output, manifest.decision, tolerance),
            )
            for name, output in outputs
        ),
    ]


def between_levels(layout: type[Layout]) -> str:
    """Return the name of the check of a layout's inputs between whole grey levels."""
    return f"{layout.name} between grey levels"


def allowed_of(
    output: LayoutOutput, decision: Decision, tolerance: Tolerance
) -> float | None:
    """Return the largest error of a layout's output, in its form's unit; None for a label."""
    if output.form == "label":
        return None
    is_score = output.quantity == "score"
    allowed = tolerance.score if is_score else tolerance.map
    if output.form == "normalised":
        return allowed * decision.scale / decision.range + _ROUNDING
    return allowed


def graphs_of(manifest: Manifest, precision: str) -> dict[str, str]:
    """Return the SHA-256 of every graph file of a precision, by its name; weights beside graphs are included."""
    names = set(manifest.variants[variant_of(precision)].files())
    names |= {f"{name}.data" for name in names} | {
        name.removesuffix(".xml") + ".bin" for name in names
    }
    files = manifest.files
    return {name: files[name].sha256 for name in sorted(names & files.keys())}


def _stage_rows(manifest: Manifest, reference: str) -> list[str]:
    """Return the stages that are compared, torchvision's rounded pixels included."""
    if reference not in ORIGINALS:
        return []
    stored = any(
        name.startswith("golden/") and name.endswith(f"/{_ROUNDED}.npy")
        for name in manifest.files
    )
    has_rounded = stored or reference != GOLDEN
    return [*manifest.stages, *([_ROUNDED] if has_rounded else [])]


def _checks_of_named_layout(
    name: str, manifest: Manifest, tolerance: Tolerance
) -> list[Row]:
    try:
        layout = LAYOUTS.get(name)
    except InputError:
        return [Row("contract", f"{name} layout")]
    return checks_of_layout(layout, manifest, tolerance)
