"""The tables against the vendors themselves: what a table refuses is really refused, what it takes is really built.

What NVIDIA's parser for RTX says is evidence about that parser, not about TensorRT 8, 10 or 11.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from anomedge.lint import examine, vendors
from anomedge.lint.reading import read_graph
from anomedge.lint.vendors import Fault, ask, node_of
from tests.lint.lint_cases import (
    CASES,
    FLOAT,
    loop,
    model,
    node,
    resize,
    save,
    single,
)

WORKERS = Path(vendors.__file__).parent / "workers"
# It needs shapes as inputs, which the worker leaves unbuilt and says so.
UNBUILT = {"top_k given"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("vendors")
    for name, case in CASES.items():
        save(case, folder / f"{name}.onnx")
    return folder


def all_at_once(vendor, argument, folder) -> dict[str, dict]:
    """One process over every case: what it says of each."""
    files = [str(folder / f"{name}.onnx") for name in CASES]
    command = [
        sys.executable,
        "-P",
        str(WORKERS / f"{vendor}_worker.py"),
        argument,
        *files,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    lines = [
        line.removeprefix("anomedge-lint:")
        for line in done.stdout.splitlines()
        if line.startswith("anomedge-lint:")
    ]
    assert done.returncode == 0 and len(lines) == len(CASES), done.stderr[
        -2000:
    ]
    return dict(zip(CASES, map(json.loads, lines), strict=True))


@pytest.fixture(scope="module")
def rtx(folder):
    pytest.importorskip("tensorrt_rtx")
    return all_at_once("rtx", "2", folder)


@pytest.fixture(scope="module")
def openvino(folder):
    return all_at_once("openvino", "compile", folder)


STARTED = "print('anomedge-lint-started', flush=True)"


@pytest.mark.parametrize("name", CASES)
def test_the_table_of_rtx_says_what_nvidias_parser_and_builder_do(
    name, rtx, folder
):
    said, path = rtx[name], folder / f"{name}.onnx"
    tabulated = examine(path, ["rtx"], batch=2, real=False)
    assert bool(said["faults"]) is bool(tabulated.errors), said["faults"]
    assert said["steps"] == (["parsed"] if name in UNBUILT else said["steps"])
    if not said["faults"]:
        assert said["note"] if name in UNBUILT else said["bytes"] > 10_000
        return
    fault = said["faults"][0]
    meant = node_of(read_graph(path, 2), Fault(fault["node"], fault["text"]))[0]
    if name == "add int16":
        return  # the parser gives up at the input and names no node
    assert meant in {
        finding.node
        for finding in tabulated.findings
        if finding.severity == "error"
    }


@pytest.mark.parametrize("name", CASES)
def test_the_table_of_openvino_says_what_its_cpu_plugin_does(
    name, openvino, folder
):
    said, path = openvino[name], folder / f"{name}.onnx"
    tabulated = examine(path, ["openvino-cpu"], real=False)
    assert bool(said["faults"]) is bool(tabulated.errors), said["faults"]
    if not said["faults"]:
        assert said["steps"] == ["read", "compiled"]


def computed(case, x) -> tuple[np.ndarray, np.ndarray]:
    """By ONNX Runtime, which keeps to ONNX here, and by OpenVINO."""
    import onnxruntime
    from openvino import Type, properties

    from anomedge.runtimes.ov import _core

    session = onnxruntime.InferenceSession(
        case.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    hints = {properties.hint.inference_precision: Type.f32}
    compiled = _core().compile_model(
        _core().read_model(case.SerializeToString()), "CPU", hints
    )
    return session.run(None, {"x": x})[0], compiled(x)[0]


def test_openvino_ignores_antialias_and_policy_as_the_table_says():
    x = np.random.default_rng(0).random((1, 3, 8, 8), dtype=np.float32)
    right, got = computed(resize(mode="linear", scale=0.25), x)
    assert np.abs(right - got).max() < 1e-6
    right, got = computed(resize(mode="linear", scale=0.25, antialias=1), x)
    assert np.abs(right - got).max() > 0.1
    planted = node(
        "Resize",
        ["x", "", "", "z"],
        ["y"],
        mode="linear",
        keep_aspect_ratio_policy="not_larger",
        axes=[2, 3],
    )
    inputs = {"x": (FLOAT, ["B", 3, 8, 8])}
    right, got = computed(
        model(
            [planted],
            inputs,
            {"y": (FLOAT, [None] * 4)},
            {"z": np.array([4, 6])},
            18,
        ),
        x,
    )
    assert (right.shape, got.shape) == ((1, 3, 4, 4), (1, 3, 4, 6))


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


def test_an_ir_is_linted_as_openvino_reads_it(bundle_paths, tmp_path):
    import openvino

    from anomedge.lint.ir import graph_of_ir
    from anomedge.runtimes.ov import _core

    for name, case in (
        ("resize", resize(mode="linear", antialias=1)),
        ("loop", loop()),
        ("top", CASES["non_zero"]),
    ):
        graph = _core().read_model(case.SerializeToString())
        openvino.save_model(
            graph, tmp_path / f"{name}.xml", compress_to_fp16=False
        )
    described = {
        n: ask("openvino", tmp_path / f"{n}.xml", "read", 60).described
        for n in ("resize", "loop", "top")
    }
    graphs = {
        n: graph_of_ir(tmp_path / f"{n}.xml", said, 8)
        for n, said in described.items()
    }
    assert [
        n.attributes for n in graphs["resize"].nodes if n.op == "Resize"
    ] == [{"antialias": 1}]
    assert [n.op for n in graphs["loop"].nodes if n.op == "Loop"] == ["Loop"]
    assert graphs["top"].open_axes == {"x": (0,)}
    found = [
        f
        for f in examine(bundle_paths["padim"], ["openvino-npu"]).findings
        if f.graph == "openvino/model.xml"
    ]
    assert {(f.rule, f.severity) for f in found} == {
        ("static", "error"),
        ("fp16", "warning"),
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


def test_what_has_no_place_in_a_graph_keeps_the_vendors_words(folder):
    graph = read_graph(folder / "relu.onnx", 1)
    assert node_of(graph, Fault("elsewhere", "broken")) == ("elsewhere", "", "")
    assert node_of(graph, Fault("", "planted_0 has no runners")) == (
        "planted",
        "Relu",
        "y",
    )
    assert node_of(graph, Fault("", "implanted")) == ("", "", "")


def test_polygraphy_reports_the_nodes_that_parse(tmp_path):
    """On TensorRT-RTX, without a GPU; the report stands in the message of the first refused node."""
    pytest.importorskip("tensorrt_rtx")
    polygraphy = pytest.importorskip("polygraphy")
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], name="first"),
        helper.make_node("Det", ["a"], ["b"], name="refused"),
        helper.make_node("Relu", ["b"], ["y"], name="last"),
    ]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
    )
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    verdict = ask("rtx", save(model, tmp_path / "det.onnx"), "2", 120)
    assert [fault.node for fault in verdict.faults] == ["refused"]
    assert (
        f"Polygraphy {polygraphy.__version__}: "
        f"the other 2 nodes parse, in 2 groups"
    ) in verdict.faults[0].text
