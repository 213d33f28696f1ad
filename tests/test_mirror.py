"""Tests mirror the package: the module `anomedge/a/b.py` is tested by `tests/a/test_b.py`.

Underscores around a module's name are dropped: `_b.py` has `test_b.py`, and a
package whose `__init__.py` defines functions or classes has `test_init.py`.
Laws over all members stand in further files, such as `test_laws.py`.
"""

import ast
from pathlib import Path

import pytest

import anomedge

PACKAGE = Path(anomedge.__file__).parent
TESTS = Path(__file__).parent

WITHOUT = {
    "anomedge.generated": "a union of names; parity/test_golden.py reads and writes them",
    "anomedge.lint.rules": "a union of classes; test_target reads a rule of each kind",
    "anomedge.precisions.bf16": "declares a name and tolerances; test_base holds the laws of all precisions",
    "anomedge.precisions.fp16": "declares a name and tolerances; test_base holds the laws of all precisions",
    "anomedge.precisions.fp16_storage": "declares a name and tolerances; test_base holds the laws of all precisions",
    "anomedge.precisions.fp32": "declares a name and tolerances; test_base holds the laws of all precisions",
    "anomedge.precisions.int8": "declares a name and tolerances; test_base holds the laws of all precisions",
    "anomedge.precisions.int8_storage": "declares a name and tolerances; test_base holds the laws of all precisions",
    "anomedge.precisions.tf32": "declares a name and tolerances; test_base holds the laws of all precisions",
}
"""Modules that need no test file of their own, and why."""


def modules() -> dict[str, Path]:
    """The modules with code, by name, and the test file of each."""
    found = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        if file.name == "__init__.py" and not defines_code(file):
            continue
        inner = file.relative_to(PACKAGE)
        name = ".".join(("anomedge", *inner.with_suffix("").parts))
        test = f"test_{inner.stem.strip('_')}.py"
        found[name] = TESTS / inner.parent / test
    return found


def defines_code(file: Path) -> bool:
    """Whether a file defines functions or classes."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return any(isinstance(n, kinds) for n in ast.parse(file.read_text()).body)


def without_test_file() -> list[str]:
    return [name for name, test in modules().items() if not test.is_file()]


def test_every_module_has_a_test_file_of_its_name():
    found = modules()
    missing = [name for name in without_test_file() if name not in WITHOUT]
    assert not missing, f"expected {[str(found[name]) for name in missing]}"


@pytest.mark.parametrize("name", WITHOUT)
def test_exceptions_are_needed(name):
    assert name in without_test_file()


@pytest.mark.parametrize(
    ("name", "test"),
    [
        ("anomedge.errors", "test_errors.py"),
        ("anomedge.runtimes.__init__", "runtimes/test_init.py"),
        ("anomedge.commands._console", "commands/test_console.py"),
        ("anomedge.images.datasets.visa", "images/datasets/test_visa.py"),
    ],
)
def test_names_of_test_files(name, test):
    assert modules()[name] == TESTS / test


def test_packages_without_code_of_their_own_need_no_test():
    assert "anomedge.images.__init__" not in modules()
