"""A copy of a bundle that a test may write into."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def copy(bundle_paths, tmp_path) -> Path:
    target = tmp_path / "part.anomedge"
    shutil.copytree(bundle_paths["patchcore"], target)
    return target
