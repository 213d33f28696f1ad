"""anomedge lint: check whether graphs build on their target, without the device."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from anomedge.errors import TargetRefused
from anomedge.files import canonical_json
from anomedge.names import printable_lines

if TYPE_CHECKING:
    from anomedge.lint import Finding, LintReport, Target, VendorRun

EXAMPLE = "anomedge lint part.anomedge --target tensorrt-10.3 rtx openvino-npu"

_BATCH = 8
_SHOWN = 5
_INDENT = " " * 11

Option = typer.Option


def _target_names() -> list[str]:
    """Return the names of the target files, without importing the lint, which needs onnx."""
    folder = Path(__file__).parents[1] / "lint" / "targets"
    return sorted(path.stem for path in folder.glob("*.json"))


def lint(
    path: Annotated[Path, typer.Argument(help="Bundle, or an .onnx file.")],
    target: Annotated[
        list[str] | None,
        Option(
            help=f"One or several of: {', '.join(_target_names())}; or a .json file in the same format. TensorRT releases "
            "may be given as numbers, such as 10.3. All by default."
        ),
    ] = None,
    batch: Annotated[
        int,
        Option(
            min=1,
            max=4096,
            help="Largest batch, for graphs with an open batch.",
        ),
    ] = _BATCH,
    tables: Annotated[
        bool,
        Option(
            "--tables",
            help="Check by tables only; run no vendor's parser.",
        ),
    ] = False,
    timeout: Annotated[
        int,
        Option(
            min=1,
            help="Time limit of each vendor's parser for each graph, in seconds.",
        ),
    ] = 600,
    as_json: Annotated[
        bool, Option("--json", help="Print everything as JSON.")
    ] = False,
) -> None:
    """List the nodes that a target refuses or computes differently, with the rule, its source and a replacement.

    Rules come from the vendors' documents. If tensorrt_rtx or openvino is installed, its parser runs too, for rtx and
    openvino-cpu. Exit code 3: a target given with --target refuses a graph. Without --target, the exit code is 0.
    """
    from anomedge.lint import examine

    report = examine(
        path, target or (), batch=batch, real=not tables, timeout=timeout
    )
    if as_json:
        typer.echo(canonical_json(report.to_json()), nl=False)
    else:
        _show(path, report)
    if report.errors and target:
        refusing = dict.fromkeys(
            finding.target
            for finding in report.findings
            if finding.severity == "error"
        )
        raise TargetRefused(
            f"{path} got {_count(report.errors, 'error')} for {', '.join(refusing)}; expected none: rewrite what is named, or "
            "choose another target"
        )


def _show(path: Path, report: LintReport) -> None:
    """Print the report, wrapped to the width of the terminal."""
    width = max(60, min(Console().width, 120))
    files = ", ".join(report.graphs)
    _write(
        f"{path}: {files}; volumes at batch {report.batch} where it is open",
        width,
        "  ",
    )
    for note in report.notes:
        _write(f"note: {note}", width, "  ")
    for target in report.targets:
        typer.echo()
        _show_target(target, report, width)


def _show_target(target: Target, report: LintReport, width: int) -> None:
    findings = [
        finding for finding in report.findings if finding.target == target.name
    ]
    errors = sum(finding.severity == "error" for finding in findings)
    counted = (
        f"{_count(errors, 'error')}, {_count(len(findings) - errors, 'warning')}"
        if findings
        else "nothing to say"
    )
    _write(f"{target.name}: {target.title}: {counted}", width, "  ")
    for line in _evidence(
        target, [run for run in report.runs if run.target == target.name]
    ):
        _write(f"  {line}", width, "    ")
    for (severity, rule), group in _grouped(findings).items():
        for finding, graphs in list(group.values())[:_SHOWN]:
            where = (
                ""
                if finding.place in report.graphs and len(graphs) == 1
                else f" [{', '.join(graphs)}]"
            )
            _write(f"  {finding.line()}{where}", width, _INDENT)
        if len(group) > _SHOWN:
            _write(
                f"  {severity:<7}  {rule}: {len(group) - _SHOWN} more nodes; --json names them all",
                width,
                _INDENT,
            )


def _grouped(
    findings: list[Finding],
) -> dict[tuple[str, str], dict[str, tuple[Finding, list[str]]]]:
    """Group findings by severity, errors first, and rule; merge equal findings of several graphs."""
    groups: dict[tuple[str, str], dict[str, tuple[Finding, list[str]]]] = {}
    for finding in sorted(findings, key=lambda finding: finding.severity):
        group = groups.setdefault((finding.severity, finding.rule), {})
        key = finding.line().replace(finding.graph, "")
        group.setdefault(key, (finding, []))[1].append(finding.graph)
    return groups


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _evidence(target: Target, runs: list[VendorRun]) -> list[str]:
    """Describe which vendor parsers ran, and why others did not."""
    done = [run for run in runs if run.steps]
    lines = []
    for tool in dict.fromkeys(f"{run.tool} {run.version}" for run in done):
        of_tool = [run for run in done if f"{run.tool} {run.version}" == tool]
        did = "; ".join(
            f"{' and '.join(steps)} "
            + ", ".join(
                f"{run.graph} ({run.seconds:.1f} s)"
                for run in of_tool
                if run.steps == steps
            )
            for steps in dict.fromkeys(run.steps for run in of_tool)
        )
        lines.append(f"really run: {tool} {did}: {target.evidence}")
    for reason in dict.fromkeys(run.reason for run in runs if run.reason):
        graphs = ", ".join(run.graph for run in runs if run.reason == reason)
        lines.append(f"not run: {reason} ({graphs})")
    return lines or [
        f"only tabulated: nothing was parsed or built (from {target.source})"
    ]


def _write(text: str, width: int, indent: str) -> None:
    wrapped = textwrap.fill(
        text,
        width,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    wrapped = printable_lines(wrapped)
    typer.echo(
        wrapped.replace("error  ", typer.style("error", fg="red") + "  ", 1)
        if text.startswith("  error")
        else wrapped
    )
