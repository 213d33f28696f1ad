"""A copy of a bundle that a test may write into."""

import shutil

import pytest


@pytest.fixture
def copy(bundle_paths, tmp_path):
    target = tmp_path / "part.anomedge"
    shutil.copytree(bundle_paths["padim"], target)
    return target
