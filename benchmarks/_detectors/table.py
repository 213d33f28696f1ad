"""Tables of the comparison of detectors, from the records of the cases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

Record = dict[str, Any]

FIGURES = (
    "| detector | backbone | pictures | side | image AUROC | pixel AUROC | AUPRO | F1 at the shipped threshold | best F1 "
    "| fit, s | export, s | MB |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
)
IMPORTS = (
    "| detector | pictures | error of the score | error of the map | runtime | ours, ms | anomalib, ms | ratio "
    "| MB ours / anomalib | error of anomalib's export |\n|---|---|---|---|---|---|---|---|---|---|"
)
_NAMES = ("image", "pixel", "aupro", "f1", "best_f1")


def figures(records: Sequence[Record]) -> str:
    """Return detection, times and bytes of both sides."""
    return "\n".join(
        [FIGURES, *(row for each in records for row in _sides(each))]
    )


def imports(records: Sequence[Record]) -> str:
    """Return errors of imported models, and speed beside anomalib's own export of the same weights."""
    return "\n".join(
        [IMPORTS, *(row for each in records for row in _runtimes(each))]
    )


def _sides(record: Record) -> Iterator[str]:
    shared = (
        f"| {record['detector']} | {record['backbone']} | {record['pictures']}"
    )
    if "failed" in record:
        yield f"{shared} | failed: {record['failed']} |" + " |" * 8
        return
    for side, title in (("ours", "anomedge"), ("theirs", "anomalib")):
        found = record[side]
        if "figures" not in found:
            yield f"{shared} | {title} | failed: {found['failed']} |" + " |" * 7
            continue
        values = " | ".join(_share(found["figures"][name]) for name in _NAMES)
        export = _number(found.get("export"), ".0f")
        size = _number(found.get("bytes"), ".1f", 1e-6)
        yield f"{shared} | {title} | {values} | {found['fit']:.0f} | {export} | {size} |"


def _runtimes(record: Record) -> Iterator[str]:
    found = record.get("theirs", {})
    if "errors" not in found:
        return
    errors = (
        _number(found["errors"][name], ".1e") for name in ("score", "map")
    )
    shared = (
        f"| {record['detector']} | {record['pictures']} | {' | '.join(errors)}"
    )
    if "runtimes" not in found:
        yield f"{shared} | {found.get('failed', '')} |" + " |" * 5
        return
    for runtime, times in found["runtimes"].items():
        if "failed" in times:
            yield f"{shared} | {runtime} | | {times['failed']} |" + " |" * 3
            continue
        sizes = [times["bytes"][side] / 1e6 for side in ("ours", "theirs")]
        yield (
            f"{shared} | {runtime} | {times['ours']:.1f} | {times['theirs']:.1f} | {times['ratio']:.2f} "
            f"| {sizes[0]:.1f} / {sizes[1]:.1f} | {_number(times.get('error'), '.1e')} |"
        )


def _share(value: float | None) -> str:
    return _number(value, ".3f")


def _number(value: float | None, form: str, factor: float = 1.0) -> str:
    return "-" if value is None else format(value * factor, form)
