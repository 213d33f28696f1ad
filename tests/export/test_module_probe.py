"""Images that a module is probed with: two of the user's, then synthetic ones, as the module gets them."""

import numpy as np
import pytest

from anomedge.errors import ModelError
from anomedge.export import module_probe
from anomedge.export.module_probe import probed_module
from anomedge.images import Picture
from anomedge.interop.probing import Probe
from anomedge.resample import Geometry, Tiling
from tests.interop.modules import SIZE, Relative, Tiny
from tests.interop.test_module import around


def pictures(count):
    return [
        Picture(str(grey), pixels=np.full((20, 30, 3), grey, np.uint8))
        for grey in range(count)
    ]


@pytest.fixture
def seen(monkeypatch):
    """The images that a module would be probed with."""
    given = []

    def probe(pipeline, images, batch):
        given.append((images, batch))
        return Probe(takes_batches=True, has_map=True)

    monkeypatch.setattr(module_probe, "probe", probe)
    return given


@pytest.mark.parametrize(("count", "own"), [(0, 0), (1, 1), (5, 2)])
def test_two_of_the_users_pictures_are_among_four_images(seen, count, own):
    probed_module(None, Geometry(SIZE), pictures(count), 3)
    ((images, batch),) = seen
    assert images.shape == (4, 3, *SIZE)
    assert batch == 3
    uniform = [float(image.std()) < 1e-4 for image in images]
    assert uniform == [True] * own + [False] * (4 - own)


def test_of_tiled_pictures_one_tile_each_is_taken(seen):
    probed_module(None, Geometry((32, 48), tiling=Tiling(SIZE, 0)), [], None)
    ((images, _),) = seen
    assert images.shape == (4, 3, *SIZE)


def test_a_module_is_probed():
    found = probed_module(around(Tiny()), Geometry(SIZE), pictures(2), None)
    assert found == Probe(takes_batches=True, has_map=True)
    with pytest.raises(ModelError, match="rest of the batch"):
        probed_module(around(Relative()), Geometry(SIZE), [], None)
