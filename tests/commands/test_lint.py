"""anomedge lint: what it prints, what it prints for machines, and how it ends."""

import json
import subprocess
import sys

import pytest

from anomedge.commands._arguments import spread_values
from tests.commands.running import run
from tests.lint.lint_cases import CASES, FLOAT, model, node, save


@pytest.fixture
def refused(tmp_path):
    return save(CASES["arg_max 1"], tmp_path / "refused.onnx")


def test_a_refused_graph_ends_with_3_and_says_where_by_which_rule_and_what_to_do(
    refused, capsys
):
    assert run("lint", refused, "--target", "10.3", "8.6", "--tables") == 3
    shown = capsys.readouterr()
    words = " ".join(shown.out.split())
    assert (
        'error planted (ArgMax -> "y"): rank 1; TensorRT wants 2 or more ('
        in words
    )
    assert "-> Unsqueeze before, Squeeze behind" in words
    assert (
        "tensorrt-10.3: TensorRT 10.3 (JetPack 6.1 and 6.2): 1 error, 0 warnings"
        in words
    )
    assert "only tabulated: nothing was parsed or built" in words
    assert "got 2 errors for tensorrt-10.3, tensorrt-8.6" in " ".join(
        shown.err.split()
    )
    assert max(len(line) for line in shown.out.splitlines()[1:]) <= 80


def test_a_graph_that_nothing_stops_ends_with_0_though_it_is_warned_of(
    tmp_path, capsys
):
    assert (
        run(
            "lint",
            save(CASES["loop"], tmp_path / "loop.onnx"),
            "--target",
            "rtx",
            "--tables",
        )
        == 0
    )
    assert "warning  planted (Loop" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["FILE", "--target", "tensorrt-9.9"], "expected one of: openvino-cpu"),
        (["missing.onnx"], "expected a bundle or an .onnx file"),
        (["FOLDER"], "expected the folder that anomedge.export wrote"),
    ],
)
def test_wrong_use_ends_with_2(arguments, said, refused, tmp_path, capfd):
    places = {"FILE": refused, "FOLDER": tmp_path}
    assert (
        run("lint", *(places.get(argument, argument) for argument in arguments))
        == 2
    )
    assert said in " ".join(capfd.readouterr().err.split())


def test_without_a_target_it_is_an_overview(refused, capsys):
    assert run("lint", refused, "--tables") == 0
    shown = capsys.readouterr().out
    assert (
        "tensorrt-8.6: TensorRT 8.6" in shown
        and "openvino-npu: " in shown
        and "1 error" in shown
    )


def test_for_machines(refused, capsys):
    assert (
        run("lint", refused, "--target", "tensorrt-10.16", "--tables", "--json")
        == 3
    )
    said = json.loads(capsys.readouterr().out)
    (finding,) = said["findings"]
    assert (finding["target"], finding["rule"], finding["severity"]) == (
        "tensorrt-10.16",
        "argmax-rank",
        "error",
    )
    assert (finding["node"], finding["op"], finding["output"]) == (
        "planted",
        "ArgMax",
        "y",
    )
    assert (
        said["graphs"] == ["refused.onnx"]
        and said["batch"] == 8
        and said["runs"] == []
    )


def test_what_was_really_run_is_told_from_what_was_tabulated(
    bundle_paths, capsys
):
    pytest.importorskip("tensorrt_rtx")
    assert (
        run(
            "lint",
            bundle_paths["padim"],
            "--target",
            "rtx",
            "openvino-cpu",
            "10.3",
        )
        == 0
    )
    words = " ".join(capsys.readouterr().out.split())
    assert (
        "really run: tensorrt_rtx 1." in words
        and "parsed and built model.onnx (" in words
    )
    assert (
        "evidence about NVIDIA's parser and type rules, not about TensorRT 8, 10 or 11"
        in words
    )
    assert (
        "really run: openvino 20" in words
        and "read and compiled model.onnx (" in words
    )
    assert words.count("only tabulated: nothing was parsed or built") == 1


def test_one_rule_at_many_nodes_is_cut_short_for_people_only(tmp_path, capsys):
    nodes = [node("Det", ["x"], [f"y{i}"]) for i in range(9)]
    for number, each in enumerate(nodes):
        each.name = f"det_{number}"
    case = model(nodes, {"x": (FLOAT, [2, 3, 3])}, {"y0": (FLOAT, [2])})
    path = save(case, tmp_path / "many.onnx")
    assert run("lint", path, "--target", "10.3", "--tables") == 3
    assert "operator: 4 more nodes; --json names them all" in " ".join(
        capsys.readouterr().out.split()
    )
    assert run("lint", path, "--target", "10.3", "--tables", "--json") == 3
    assert len(json.loads(capsys.readouterr().out)["findings"]) == 9


def test_several_targets_after_one_name():
    spread = spread_values(
        [
            "lint",
            "--target",
            "rtx",
            "10.13",
            "openvino-npu",
            "part.anomedge",
            "--batch",
            "4",
        ]
    )
    assert spread == [
        "lint", "--target", "rtx", "--target", "10.13", "--target", "openvino-npu", "part.anomedge", "--batch", "4",
    ]  # fmt: skip


def test_it_needs_no_torch(refused):
    code = (
        "import sys; sys.modules['torch'] = None; from anomedge.lint import lint; "
        f"print([f.rule for f in lint({str(refused)!r}, ['8.6'])])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert done.stdout == "['argmax-rank']\n", done.stderr
