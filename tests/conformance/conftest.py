"""Fixtures: an opened bundle of a tiny detector."""

import pytest

from anomedge import Inspector


@pytest.fixture(scope="session")
def inspector(bundle_paths):
    path = bundle_paths["patchcore"]
    with Inspector.open(path, runtime="onnxruntime") as opened:
        yield opened
