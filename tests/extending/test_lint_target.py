"""A lint target from a temporary file: `anomedge lint` applies it, with no other file edited."""

import json

from anomedge.__main__ import run_command
from tests.lint.lint_cases import FLOAT, model, node, save

TARGET = {
    "title": "A board of mine",
    "source": "its data sheet, page 3",
    "operators": {"Relu": "any"},
    "checks": {
        "operators": {
            "kind": "supported",
            "severity": "error",
            "why": "its parser has a short table",
            "source": "its data sheet, page 3",
            "rewrite": "use Relu",
        }
    },
}


def graph_of(op, folder):
    shape = ("B", 3, 8, 8)
    graph = model(
        [node(op, ["x"], ["y"])], {"x": (FLOAT, shape)}, {"y": (FLOAT, shape)}
    )
    return save(graph, folder / f"{op}.onnx")


def test_lint_applies_a_target_file(tmp_path, capsys):
    target = tmp_path / "mine.json"
    target.write_text(json.dumps(TARGET))
    graph = graph_of("Relu", tmp_path)
    assert run_command("lint", [str(graph), "--target", str(target)]) == 0
    assert "A board of mine" in capsys.readouterr().out

    graph = graph_of("Erf", tmp_path)
    assert (
        run_command(
            "lint", ["--target", "rtx", str(target), str(graph), "--json"]
        )
        == 3
    )
    report = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in report["targets"]] == ["rtx", "mine"]
    (finding,) = [
        each for each in report["findings"] if each["target"] == "mine"
    ]
    assert (finding["op"], finding["rewrite"]) == ("Erf", "use Relu")


def test_a_target_file_extends_a_target_of_the_package(tmp_path, capsys):
    target = tmp_path / "derived.json"
    content = {
        "like": "openvino-gpu",
        "title": "A stricter board",
        "operators": {"Relu": None},
    }
    target.write_text(json.dumps(content))
    graph = graph_of("Relu", tmp_path)
    assert run_command("lint", [str(graph), "--target", "openvino-gpu"]) == 0
    assert run_command("lint", [str(graph), "--target", str(target)]) == 3
    assert "A stricter board" in capsys.readouterr().out
