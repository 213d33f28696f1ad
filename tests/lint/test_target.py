"""Targets: their names, files and tables."""

import json
from pathlib import Path

import onnx
import pytest

from anomedge import lint as lint_package
from anomedge.errors import InputError
from anomedge.lint import available, lint, load
from tests.lint.lint_cases import CASES, save


@pytest.mark.parametrize("name", ["tensorrt-9.9", "cuda", "../rtx", ""])
def test_a_target_that_there_is_not(name, folder):
    with pytest.raises(InputError, match="expected one of: openvino-cpu"):
        lint(save(CASES["relu"], folder / "relu.onnx"), [name])


def test_short_and_long_names_are_one_target():
    assert load("10.13") == load("tensorrt-10.13")


def test_a_target_of_ones_own(folder):
    own = {
        "like": "tensorrt-10.3",
        "title": "Ours",
        "operators": {"Relu": ""},
        "checks": {"opset": None},
    }
    path = folder / "ours.json"
    path.write_text(json.dumps(own))
    found = lint(save(CASES["opset 25"], folder / "own.onnx"), [str(path)])
    assert [(f.target, f.rule, f.op) for f in found] == [
        ("ours", "operator", "Relu")
    ]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"like": "nothing"}',
        '{"like": "rtx", "checks": {"x": {"kind": "none"}}}',
        "[" * 5000,
    ],
)
def test_files_that_are_no_targets(content, folder):
    path = folder / "wrong.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"wrong\.json"):
        load(str(path))


@pytest.mark.parametrize("name", available())
def test_targets_say_where_everything_is_written(name):
    target = load(name)
    assert target.name == name and target.title and target.source
    for check in target.checks.values():
        assert len(check.source) > 10 and len(check.why) > 10 and check.rewrite
    supported = {op for op, types in target.operators.items() if types}
    assert {
        "Conv",
        "MatMul",
        "Gemm",
        "Gather",
        "ArgMin",
        "ReduceMin",
        "Cast",
        "Relu",
    } <= supported
    schemas = {
        schema.name
        for schema in onnx.defs.get_all_schemas_with_history()
        if schema.domain in {"", "ai.onnx.preview"}
    }
    strangers = {op for op in supported if op not in schemas}
    # What the makers' tables list beside ONNX's own: operators of its first versions, and their fusions.
    assert strangers <= {
        "ATen", "Affine", "ConstantFill", "Crop", "ImageScaler", "IsFinite", "ParametricSoftplus", "ScaledTanh",
        "SimplifiedLayerNormalization",
    }  # fmt: skip


def test_the_targets_are_in_the_package_data():
    import tomllib

    root = Path(lint_package.__file__).parents[2]
    patterns = tomllib.loads((root / "pyproject.toml").read_text())["tool"][
        "setuptools"
    ]["package-data"]["anomedge"]
    covered = {
        file
        for pattern in patterns
        for file in (root / "anomedge").glob(pattern)
    }
    assert (
        set((Path(lint_package.__file__).parent / "targets").glob("*.json"))
        <= covered
    )
