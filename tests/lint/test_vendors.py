"""Vendors that are asked in a process of their own: their findings, and processes that crash or hang."""

import pytest

from anomedge.lint import examine, vendors
from anomedge.lint.reading import read_graph
from anomedge.lint.vendors import Fault, node_of
from tests.lint.lint_cases import CASES, save, single

STARTED = "print('anomedge-lint-started', flush=True)"


@pytest.mark.parametrize(
    "target, tool", [("rtx", "tensorrt_rtx"), ("openvino-cpu", "openvino")]
)
def test_findings_of_a_vendor_name_the_node_and_what_was_run(
    target, tool, tmp_path
):
    pytest.importorskip(tool)
    report = examine(
        save(CASES["inverse"], tmp_path / "inverse.onnx"), [target]
    )
    (finding,) = (f for f in report.findings if f.rule == "vendor")
    assert (finding.severity, finding.node, finding.op) == (
        "error",
        "planted",
        "Inverse",
    )
    assert finding.source.startswith(f"really run: {tool} ")
    assert [
        (run.tool, run.target, bool(run.version)) for run in report.runs
    ] == [(tool, target, True)]
    assert report.targets[0].evidence


def test_a_bundle_is_really_built_and_read(bundle_paths, detector):
    pytest.importorskip("tensorrt_rtx")
    report = examine(
        bundle_paths[detector], ["rtx", "openvino-cpu", "openvino-gpu"]
    )
    assert not report.findings
    steps = {(run.target, run.graph): run.steps for run in report.runs}
    assert steps == {
        ("rtx", "model.onnx"): ("parsed", "built"),
        ("rtx", "stages.onnx"): ("parsed", "built"),
        ("rtx", "segments.onnx"): ("parsed", "built"),
        ("openvino-cpu", "model.onnx"): ("read", "compiled"),
        ("openvino-cpu", "stages.onnx"): ("read", "compiled"),
        ("openvino-cpu", "segments.onnx"): ("read", "compiled"),
        ("openvino-cpu", "openvino/model.xml"): ("read", "compiled"),
        ("openvino-gpu", "openvino/model.xml"): ("read", "compiled"),
    }


@pytest.mark.parametrize(
    "code, timeout, said",
    [
        (
            f"{STARTED}; import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
            60,
            "SIGSEGV",
        ),
        (f"{STARTED}; raise SystemExit('no driver')", 60, "no driver"),
        ("import time; time.sleep(60)", 0.5, "not through after"),
    ],
)
def test_a_vendor_that_crashes_or_hangs_takes_nothing_along(
    code, timeout, said, tmp_path, monkeypatch
):
    (tmp_path / "workers").mkdir()
    (tmp_path / "workers" / "openvino_worker.py").write_text(code)
    monkeypatch.setattr(vendors, "__file__", str(tmp_path / "vendors.py"))
    report = examine(
        save(CASES["relu"], tmp_path / "relu.onnx"),
        ["openvino-cpu"],
        timeout=timeout,
    )
    (finding,) = report.findings
    assert finding.rule == "vendor" and said in finding.message
    assert finding.severity == ("warning" if "through" in said else "error")


@pytest.mark.parametrize(
    "code, said",
    [
        ("raise ImportError('libmissing.so: cannot open')", "libmissing.so"),
        (
            f"{STARTED}; import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            "SIGKILL",
        ),
    ],
)
def test_a_vendor_that_cannot_be_asked_says_nothing_of_the_graph(
    code, said, tmp_path, monkeypatch
):
    (tmp_path / "workers").mkdir()
    (tmp_path / "workers" / "openvino_worker.py").write_text(code)
    monkeypatch.setattr(vendors, "__file__", str(tmp_path / "vendors.py"))
    report = examine(
        save(CASES["relu"], tmp_path / "relu.onnx"), ["openvino-cpu"]
    )
    assert report.findings == ()
    assert report.runs[0].steps == () and said in report.runs[0].reason


def test_without_the_package_the_report_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(vendors, "installed", lambda vendor: False)
    report = examine(
        save(single("Relu"), tmp_path / "relu.onnx"), ["rtx", "openvino-cpu"]
    )
    assert [run.steps for run in report.runs] == [(), ()]
    assert all(
        "not installed here: pip install" in run.reason for run in report.runs
    )


def test_what_has_no_place_in_a_graph_keeps_the_vendors_words(tmp_path):
    graph = read_graph(save(CASES["relu"], tmp_path / "relu.onnx"), 1)
    assert node_of(graph, Fault("elsewhere", "broken")) == ("elsewhere", "", "")
    assert node_of(graph, Fault("", "planted_0 has no runners")) == (
        "planted",
        "Relu",
        "y",
    )
    assert node_of(graph, Fault("", "implanted")) == ("", "", "")
