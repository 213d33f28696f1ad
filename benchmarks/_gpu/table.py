"""Report: every target of every precision, with its figures or the reason for their absence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["exit_code", "markdown"]

_PARITY = (
    "| target | precision | batch | pictures | score | map | batches | flips | smallest margin | verdict |\n"
    "|---|---|---|---|---|---|---|---|---|---|"
)
_LATENCY = (
    "| target | precision | batch | median ms | p95 ms | frames/s | limit ms | share of the limit | open s |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def exit_code(report: dict[str, Any]) -> int:
    """Return 0 if everything that ran passed, 3 if a proof failed, 2 if nothing ran."""
    ran = [
        row
        for check in report["checks"]
        for row in check["rows"]
        if "not_run" not in row
    ]
    return 2 if not ran else 0 if all(row["passed"] for row in ran) else 3


def markdown(report: dict[str, Any]) -> str:
    """Return the page."""
    machine = "\n".join(
        f"- {name}: {value}" for name, value in report["machine"].items()
    )
    versions = ", ".join(
        f"{name} {value}" for name, value in report["versions"].items()
    )
    pages = "\n\n".join(
        _bundle(report, name)
        for name in dict.fromkeys(c["bundle"] for c in report["checks"])
    )
    return (
        f"# GPU check\n\n`{report['command']}`, {report['when']}: **{_verdict(report)}**\n\n{machine}\n"
        f"- versions: {versions}\n\n## Ceilings measured here\n\n{_ceilings(report['ceilings'])}\n\n{pages}\n"
    )


def _verdict(report: dict[str, Any]) -> str:
    return {
        0: "all that ran passed",
        2: "nothing could run",
        3: "a proof failed",
    }[exit_code(report)]


def _ceilings(found: dict[str, Any]) -> str:
    if not found["through"]:
        return f"not measured: {found['reason']}"
    products = ", ".join(
        f"{rate / 1e12:.3g} TFLOP/s in {precision}"
        for precision, rate in found["flops"].items()
    )
    to_device = (
        f"; {found['to_device'] / 1e9:.3g} GB/s to the device"
        if found["to_device"]
        else ""
    )
    return (
        f"Square products {products}; a copy on the device {found['bytes'] / 1e9:.3g} GB/s, read and written{to_device}; "
        f"through {found['through']}."
    )


def _bundle(report: dict[str, Any], name: str) -> str:
    checks = [check for check in report["checks"] if check["bundle"] == name]
    parity = "\n".join(
        line
        for check in checks
        for row in check["rows"]
        for line in _parity(check, row)
    )
    latency = "\n".join(
        line
        for check in checks
        for row in check["rows"]
        for line in _latency(check, row)
    )
    failures = [
        f"- {row['target']}, {check['precision']}: {_text(line)}"
        for check in checks
        for row in check["rows"]
        for line in row.get("failures", ())
    ]
    failed = "\n\nFailures:\n\n" + "\n".join(failures) if failures else ""
    references = dict.fromkeys(
        row["reference"]
        for check in checks
        for row in check["rows"]
        if "reference" in row
    )
    against = f" against {', '.join(references)}" if references else ""
    return (
        f"## {name}\n\n{checks[0]['described']}\n\n### Parity{against}\n\nErrors as shares of the fixed scale.\n\n"
        f"{_PARITY}\n{parity}{failed}\n\n### Latency and roofline\n\n"
        "In turns within one process for each precision, with the engines that were proven; frames from the host, results "
        f"fetched. {checks[0]['roofline']}\n\n"
        f"{_LATENCY}\n{latency}"
    )


def _parity(check: dict[str, Any], row: dict[str, Any]) -> Iterator[str]:
    head = f"| {row['target']} | {check['precision']} "
    if "not_run" in row:
        yield f"{head}| | | | | | | | not run: {_text(row['not_run'])} |"
    elif not row.get("cells"):
        yield f"{head}| | | | | | | | **FAILED**: {_text('; '.join(row['failures']))} |"
    for cell in row.get("cells", ()):
        verdict = "**FAILED**" if cell["failures"] else "passed"
        apart = _short(cell["batch_error"])
        yield (
            f"{head}| {cell['batch']} | {cell['pictures']} | {_short(cell['score_error'])} | {_short(cell['map_error'])} "
            f"| {apart} | {len(cell['flips'])} | {_short(cell['smallest_margin'])} | {verdict} |"
        )


def _latency(check: dict[str, Any], row: dict[str, Any]) -> Iterator[str]:
    head = f"| {row['target']} | {check['precision']} "
    if "not_run" in row:
        yield f"{head}| | | | | | | not run: {_text(row['not_run'])} |"
    elif not row.get("timings"):
        yield f"{head}| | | | | | | not timed: its proof failed |"
    for timing in row.get("timings", ()):
        if "error" in timing:
            yield f"{head}| {timing['batch']} | | | | | | **FAILED**: {_text(timing['error'])} |"
            continue
        least = check["limits"].get(str(timing["batch"]))
        limit, share = (
            ("-", "-")
            if least is None
            else (f"{least:.3f}", f"{least / timing['median']:.1%}")
        )
        yield (
            f"{head}| {timing['batch']} | {timing['median']:.3f} | {timing['p95']:.3f} | {timing['throughput']:.1f} "
            f"| {limit} | {share} | {row['open_milliseconds'] / 1000:.1f} |"
        )


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}"


def _text(line: str) -> str:
    """Format a vendor's message for one cell of a table."""
    return " ".join(line.split()).replace("|", "\\|")[:300]
