"""Findings as lines of text."""

import onnx

from anomedge.lint import examine, lint
from tests.lint.lint_cases import CASES, save


def test_names_that_a_terminal_would_obey_are_escaped(tmp_path):
    case = onnx.ModelProto()
    case.CopyFrom(CASES["arg_max 1"])
    case.graph.node[0].name = "\x1b[31mred\n" + "x" * 500
    (finding,) = examine(
        save(case, tmp_path / "names.onnx"), ["8.6"], real=False
    ).findings
    line = finding.line()
    assert line.isprintable() and "\\x1b[31mred" in line and len(line) < 400


def test_a_line_reads_as_it_should(folder):
    (finding,) = lint(save(CASES["arg_max 1"], folder / "line.onnx"), ["10.3"])
    assert finding.line().startswith(
        'error    planted (ArgMax -> "y"): rank 1; TensorRT wants 2 or more ('
    )
    assert finding.line().endswith("-> Unsqueeze before, Squeeze behind")
