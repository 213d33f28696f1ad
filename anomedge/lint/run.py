"""Check every graph of a bundle against targets, by tables and by installed vendor parsers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from anomedge.bundle import Bundle
from anomedge.errors import InputError
from anomedge.extras import install_advice
from anomedge.lint import vendors
from anomedge.lint.finding import Finding
from anomedge.lint.graph import Graph, Node
from anomedge.lint.ir import RULES, graph_of_ir
from anomedge.lint.reading import read_graph
from anomedge.lint.target import Target, available, load
from anomedge.lint.vendors import Verdict
from anomedge.lint.weights import SOURCE, faults_of_weights

__all__ = ["DEFAULT_BATCH", "LintReport", "VendorRun", "examine", "lint"]

DEFAULT_BATCH = 8
_TIMEOUT = 600.0


@dataclass(frozen=True)
class VendorRun:
    """A run of a vendor's parser, or the reason why there was none.

    Attributes:
        target, graph: the target and the file.
        tool, version: the vendor's package.
        steps: completed steps; empty if it did not run.
        reason: why it did not run, or not to the end.
        seconds: run time.
    """

    target: str
    graph: str
    tool: str
    version: str
    steps: tuple[str, ...]
    reason: str
    seconds: float


@dataclass(frozen=True)
class LintReport:
    """Result of the lint.

    Attributes:
        findings: sorted by target, then by graph.
        runs: runs of vendor parsers; a target without one was checked by its table only.
        targets: targets that were checked.
        graphs: names of the files.
        batch: number of frames of the volumes, for graphs with an open batch.
        notes: parts that could not be checked.
    """

    findings: tuple[Finding, ...]
    runs: tuple[VendorRun, ...]
    targets: tuple[Target, ...]
    graphs: tuple[str, ...]
    batch: int
    notes: tuple[str, ...]

    @property
    def errors(self) -> int:
        """Number of findings of severity "error"."""
        return sum(finding.severity == "error" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON content."""
        named = [
            {"name": t.name, "title": t.title, "source": t.source}
            for t in self.targets
        ]
        return {
            "batch": self.batch,
            "graphs": list(self.graphs),
            "targets": named,
            "findings": [finding.to_json() for finding in self.findings],
            "runs": [
                {**asdict(run), "steps": list(run.steps)} for run in self.runs
            ],
            "notes": list(self.notes),
        }


def lint(
    path: Path | str, targets: Sequence[str] = (), *, batch: int = DEFAULT_BATCH
) -> list[Finding]:
    """Return the findings of a bundle or an ONNX graph on targets; see `examine`."""
    return list(examine(path, targets, batch=batch).findings)


def examine(
    path: Path | str,
    targets: Sequence[str] = (),
    *,
    batch: int = DEFAULT_BATCH,
    real: bool = True,
    timeout: float = _TIMEOUT,
) -> LintReport:
    """Check every graph of a bundle, or one ONNX file, against targets.

    Args:
        path: a bundle, or an .onnx file.
        targets: names such as "tensorrt-10.3", "10.3", "rtx", "openvino-npu"; all when empty.
        batch: largest number of frames, for graphs with an open batch.
        real: run the installed vendor parsers too.
        timeout: time limit of each parser for each graph, in seconds.

    Raises:
        InputError: a target is unknown, or the file is not an ONNX graph.
        BundleError: the bundle cannot be used.
    """
    if not 1 <= batch <= 4096:
        raise InputError(f"got batch {batch}; expected a number from 1 to 4096")
    chosen = [load(name) for name in dict.fromkeys(targets or available())]
    files = _files(Path(path))
    work = _Work(batch, real, timeout)
    for target in chosen:
        for label, file in files.items():
            if file.suffix != ".xml":
                work.check_onnx(target, label, file)
            elif target.reads == "onnx and ir":
                work.check_ir(target, label, file)
    return LintReport(
        findings=tuple(work.findings),
        runs=tuple(work.runs),
        targets=tuple(chosen),
        graphs=tuple(files),
        batch=batch,
        notes=tuple(dict.fromkeys(work.notes)),
    )


def _files(path: Path) -> dict[str, Path]:
    """Return the graph file, or all graphs of a bundle, by name."""
    if not path.is_dir():
        if not path.is_file():
            raise InputError(
                f"got {path}; expected a bundle or an .onnx file: check the path"
            )
        if path.suffix == ".xml":
            raise InputError(
                f"got the IR {path}; expected an .onnx file, or the bundle that holds the IR"
            )
        return {path.name: path}
    bundle = Bundle.open(path)
    variants = bundle.manifest.variants.values()
    names = [name for variant in variants for name in variant.files()]
    return {name: bundle.file(name) for name in dict.fromkeys(names)}


class _Work:
    """Collects findings; reads each graph once, and runs each vendor once per file."""

    def __init__(self, batch: int, real: bool, timeout: float) -> None:
        self.batch, self.real, self.timeout = batch, real, timeout
        self.findings: list[Finding] = []
        self.runs: list[VendorRun] = []
        self.notes: list[str] = []
        self._graphs: dict[Path, Graph] = {}
        self._faults: dict[Path, list[tuple[str, str]]] = {}
        self._verdicts: dict[tuple[Path, str], Verdict] = {}

    def check_onnx(self, target: Target, label: str, file: Path) -> None:
        """Check one ONNX file against one target."""
        graph = self._graph(label, file)
        faults = self._faults[file]
        self.findings += _of_weights(target, label, faults)
        self.findings += _of_table(target, label, graph, frozenset())
        if target.real == "rtx":
            self._ask(target, label, graph, str(self.batch), bool(faults))
        elif target.real == "openvino":
            self._ask(target, label, graph, "compile", bool(faults))

    def check_ir(self, target: Target, label: str, file: Path) -> None:
        """Check one IR, as OpenVINO reads it, against one target."""
        mode = "compile" if target.real else "read"
        if not self.real or not vendors.installed("openvino"):
            self.runs.append(
                VendorRun(
                    target.name,
                    label,
                    "openvino",
                    "",
                    (),
                    self._reason("openvino"),
                    0.0,
                )
            )
            return
        verdict = self._verdict("openvino", file, mode)
        graph = graph_of_ir(
            file,
            verdict.described or {"inputs": [], "operations": []},
            self.batch,
        )
        self.findings += _of_table(target, label, graph, RULES)
        self._judge(target, label, graph, verdict)

    def _graph(self, label: str, file: Path) -> Graph:
        if file not in self._graphs:
            graph = self._graphs[file] = read_graph(file, self.batch)
            self._faults[file] = list(faults_of_weights(graph))
            unknown = sum(value.elements is None for _, value in graph.values)
            if unknown:
                values = f"{unknown} of {len(graph.values)} values"
                self.notes.append(
                    f"{label}: the shapes of {values} are not known: their volumes were not checked"
                )
        return self._graphs[file]

    def _ask(
        self,
        target: Target,
        label: str,
        graph: Graph,
        argument: str,
        unsafe: bool,
    ) -> None:
        vendor: vendors.Vendor = "rtx" if target.real == "rtx" else "openvino"
        if unsafe or not self.real or not vendors.installed(vendor):
            reason = (
                "its data is not where it says"
                if unsafe
                else self._reason(vendor)
            )
            self.runs.append(
                VendorRun(
                    target.name,
                    label,
                    vendors.MODULES[vendor],
                    "",
                    (),
                    reason,
                    0.0,
                )
            )
            return
        self._judge(
            target, label, graph, self._verdict(vendor, graph.path, argument)
        )

    def _reason(self, vendor: vendors.Vendor) -> str:
        if self.real:
            return f"{vendors.MODULES[vendor]} is not installed here: {install_advice(vendor)}"
        return "only tables were asked for"

    def _verdict(
        self, vendor: vendors.Vendor, file: Path, argument: str
    ) -> Verdict:
        """Return a vendor's verdict, run at most once per file; compiling includes reading."""
        compiled = (
            self._verdicts.get((file, "compile"))
            if argument == "read"
            else None
        )
        if compiled is not None:
            return compiled
        key = (file, argument)
        if key not in self._verdicts:
            self._verdicts[key] = vendors.ask(
                vendor, file, argument, self.timeout
            )
        return self._verdicts[key]

    def _judge(
        self, target: Target, label: str, graph: Graph, verdict: Verdict
    ) -> None:
        """Record a vendor's verdict as a run and its faults as findings."""
        reason = (
            f"stopped after {self.timeout:g} s"
            if verdict.unfinished
            else verdict.note
        )
        self.runs.append(
            VendorRun(target.name, label, verdict.tool, verdict.version, verdict.steps, reason, verdict.seconds)
        )  # fmt: skip
        source = f"really run: {verdict.tool} {verdict.version}".strip()
        for fault in verdict.faults:
            node, op, output = vendors.node_of(graph, fault)
            self.findings.append(
                Finding(target.name, label, "error", "vendor", node, op, output, fault.text, source, "")
            )  # fmt: skip
        if verdict.unfinished:
            text = f"it was not through after {self.timeout:g} s"
            self.findings.append(
                Finding(target.name, label, "warning", "vendor", "", "", "", text, source, "give it more: --timeout")
            )  # fmt: skip


def _of_table(
    target: Target, label: str, graph: Graph, kinds: frozenset[str]
) -> Iterator[Finding]:
    """Yield the findings of a target's rules; of the given kinds only, if any are given."""
    for name, check in target.checks.items():
        if kinds and check.kind not in kinds:
            continue
        for node, found in check.places(graph, target.operators):
            yield Finding(
                target.name, label, check.severity, name, *_named(node), f"{found}; {check.why}", check.source, check.rewrite
            )  # fmt: skip


def _of_weights(
    target: Target, label: str, faults: list[tuple[str, str]]
) -> Iterator[Finding]:
    for name, fault in faults:
        rewrite = "copy the graph's folder again, whole, or export it again"
        yield Finding(
            target.name,
            label,
            "error",
            "external-data",
            name,
            "initializer",
            "",
            fault,
            SOURCE,
            rewrite,
        )


def _named(node: Node | None) -> tuple[str, str, str]:
    return (
        ("", "", "")
        if node is None
        else (node.name, node.op, next(iter(node.outputs), ""))
    )
