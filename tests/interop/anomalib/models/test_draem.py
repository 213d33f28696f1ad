"""DRAEM: its option has another name in the torch class."""

import pytest

from anomedge.interop.anomalib.models.draem import Draem
from tests.interop.anomalib.models.package import built


@pytest.mark.parametrize("enabled", [False, True])
def test_the_block_is_an_option(monkeypatch, enabled):
    model = built(monkeypatch, Draem, enable_sspcab=enabled)
    assert model.given == {"sspcab": enabled}


def test_images_are_not_scaled():
    assert Draem.scaling == ((0, 0, 0), (1, 1, 1))
