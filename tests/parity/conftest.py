"""A copy of a bundle that a test may change, and its proof against eager Torch."""

import shutil

import pytest

from anomedge.export.proof import reference_from_model
from anomedge.images import read_folders
from anomedge.parity.proof import prove
from anomedge.verification import plan_of
from tests.conftest import FRAME, RUNTIMES


@pytest.fixture
def copy(bundle_paths, tmp_path):
    root = tmp_path / "part.anomedge"
    shutil.copytree(bundle_paths["padim"], root)
    for path in (
        root / "certificates"
    ).iterdir():  # other tests verify the session's bundle
        if path.name != "host.json":
            path.unlink()
    return root


@pytest.fixture
def proven(pictures, model_paths, models):
    """A proof of a bundle against eager Torch, by one runtime; few blends, for speed."""

    def against_the_model(bundle, blended=2):
        given = read_folders([pictures / "test"])
        reference = reference_from_model(
            models["padim"], model_paths["padim"], given, FRAME, blended, bundle
        )
        return prove(bundle, reference, plan_of(bundle, [RUNTIMES[0]], [1]))

    return against_the_model
