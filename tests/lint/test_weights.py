"""Data beside a graph that is not where the graph says; no path in a file is trusted."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from anomedge.lint import available, examine, vendors
from tests.lint.lint_cases import FLOAT, model, node, save


def beside(folder, **entries):
    """A graph whose weights, 24 bytes, are said to lie where the entries say; `weights.bin` has 32 bytes."""
    weights = np.arange(6, dtype=np.float32).reshape(3, 2)
    case = model(
        [node("MatMul", ["x", "w"], ["y"])],
        {"x": (FLOAT, ["B", 3])},
        {"y": (FLOAT, ["B", 2])},
        {"w": weights},
    )
    tensor = case.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.append(
            onnx.StringStringEntryProto(key=key, value=value)
        )
    (folder / "weights.bin").write_bytes(bytes(32))
    return save(case, folder / "graph.onnx")


@pytest.mark.parametrize(
    "entries",
    [
        {"offset": "0", "length": "24"},
        {"offset": "8"},
        {"offset": "8", "length": "24"},
    ],
    ids=lambda entries: "-".join(entries.values()),
)
def test_data_that_is_there(entries, tmp_path):
    path = beside(tmp_path, location="weights.bin", **entries)
    report = examine(path)
    assert not [
        f for f in report.findings if f.rule in {"external-data", "vendor"}
    ]
    assert {run.tool for run in report.runs if run.steps} >= {"openvino"}


@pytest.mark.parametrize(
    "entries, said",
    [
        (
            {"location": "../weights.bin", "length": "24"},
            "no plain path inside the folder",
        ),
        (
            {"location": "/etc/passwd", "length": "24"},
            "no plain path inside the folder",
        ),
        (
            {"location": "a/../weights.bin", "length": "24"},
            "no plain path inside the folder",
        ),
        (
            {"location": "link.bin", "length": "24"},
            "no plain path inside the folder",
        ),
        (
            {"location": "C:weights.bin", "length": "24"},
            "no plain path inside the folder",
        ),
        ({"location": ""}, "no plain path inside the folder"),
        ({"location": "missing.bin", "length": "24"}, "no file here"),
        ({"location": "folder", "length": "24"}, "no file here"),
        ({"location": "x" * 5000, "length": "24"}, "cannot be read"),
        (
            {"location": "weights.bin", "offset": "16", "length": "24"},
            "ends at byte 40",
        ),
        ({"location": "weights.bin", "offset": "99"}, "ends at byte"),
        (
            {"location": "weights.bin", "offset": "-8", "length": "24"},
            "is no number",
        ),
        (
            {"location": "weights.bin", "offset": "9" * 40, "length": "24"},
            "is no number",
        ),
        (
            {"location": "weights.bin", "offset": "²", "length": "24"},
            "is no number",
        ),
        (
            {"location": "weights.bin", "length": "20"},
            "20 bytes where its shape needs 24",
        ),
        ({"location": "weights.bin"}, "32 bytes where its shape needs 24"),
    ],
)
def test_data_that_is_elsewhere_is_named_and_no_vendor_gets_the_file(
    entries, said, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        vendors,
        "ask",
        lambda *_: pytest.fail("a vendor was given a file that lies"),
    )
    path = beside(tmp_path, **entries)
    (tmp_path / "link.bin").symlink_to(tmp_path / "weights.bin")
    (tmp_path / "folder").mkdir()
    report = examine(path)
    findings = [f for f in report.findings if f.rule == "external-data"]
    assert [f.target for f in findings] == available()
    for finding in findings:
        assert (finding.severity, finding.node) == ("error", "w")
        assert said in finding.message
    assert all(
        not run.steps and "not where it says" in run.reason
        for run in report.runs
    )
