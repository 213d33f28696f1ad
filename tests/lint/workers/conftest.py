"""All cases as files."""

from pathlib import Path

import pytest

from tests.lint.lint_cases import CASES, save


@pytest.fixture(scope="session")
def case_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("vendors")
    for name, case in CASES.items():
        save(case, folder / f"{name}.onnx")
    return folder
