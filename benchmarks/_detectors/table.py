"""Tables of the comparison of detectors, from the records of the cases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

Record = dict[str, Any]

FIGURES = (
    "| detector | backbone | pictures | side | image AUROC | pixel AUROC | AUPRO | F1 at the shipped threshold | false alarms | caught "
    "| F1, threshold from the same labels | best F1 | fit, s | export, s | MB |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"
)
IMPORTS = (
    "| detector | pictures | error of the score | error of the map | runtime | threads | ours, ms | anomalib, ms | ratio "
    "| MB ours / anomalib | error of anomalib's export |\n|---|---|---|---|---|---|---|---|---|---|---|"
)
_NAMES = ("image", "pixel", "aupro", "f1")


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
        yield f"{shared} | failed: {record['failed']} |" + " |" * 11
        return
    for side, title in (("ours", "anomedge"), ("theirs", "anomalib")):
        found = record[side]
        if "figures" not in found:
            yield (
                f"{shared} | {title} | failed: {found['failed']} |" + " |" * 10
            )
            continue
        figures = found["figures"]
        values = [_share(figures[name]) for name in _NAMES]
        values += [f"{count} of {of}" for count, of in figures["counts"]]
        values += [_share(found["f1_of_labels"]), _share(figures["best_f1"])]
        export = _number(found.get("export"), ".0f")
        size = _number(found.get("bytes"), ".1f", 1e-6)
        yield f"{shared} | {title} | {' | '.join(values)} | {found['fit']:.0f} | {export} | {size} |"


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
        yield f"{shared} | {found.get('failed', '')} |" + " |" * 6
        return
    for runtime, at in found["runtimes"].items():
        if "failed" in at:
            yield f"{shared} | {runtime} | | | {at['failed']} |" + " |" * 3
            continue
        ours, theirs = (at["bytes"][side] / 1e6 for side in ("ours", "theirs"))
        error = _number(at.get("error"), ".1e")
        for threads, times in at["times"].items():
            yield (
                f"{shared} | {runtime} | {threads} | {times['ours']:.2f} | {times['theirs']:.2f} "
                f"| {_interval(times)} | {ours:.1f} / {theirs:.1f} | {error} |"
            )


def _interval(times: Record) -> str:
    return f"{times['ratio']:.2f} ({times['low']:.2f} to {times['high']:.2f})"


def _share(value: float | None) -> str:
    return _number(value, ".3f")


def _number(value: float | None, form: str, factor: float = 1.0) -> str:
    return "-" if value is None else format(value * factor, form)
