"""Detectors on tiles: cutting, joining, the fit, and what is refused."""

import dataclasses

import pytest
import torch

from anomedge.errors import InputError
from anomedge.images import Picture, list_pictures
from anomedge.pipelines.data import PictureBatches
from anomedge.pipelines.fitting import fit
from anomedge.pipelines.model import load, save
from anomedge.pipelines.tiles import TileBatches, Tiles, detect
from anomedge.resample import Geometry, Tiling
from tests.conftest import FRAME, tiny_options
from tests.images.test_regions import mask_file
from tests.pipelines.test_regions import l_shape

IMAGE = (96, 112)
TILED = Geometry(IMAGE, tiling=Tiling((64, 64), 16))


@pytest.fixture(scope="module")
def tiles():
    return Tiles.of(TILED)


def test_tiles_are_the_parts_of_each_image_in_turn(tiles):
    images = torch.rand(2, 3, *IMAGE)
    cut = tiles.cut(images)
    starts = [(top, left) for top in (0, 32) for left in (0, 48)]
    assert cut.shape == (2 * tiles.count, 3, 64, 64)
    for number, tile in enumerate(cut):
        top, left = starts[number % tiles.count]
        image = images[number // tiles.count]
        assert torch.equal(tile, image[:, top : top + 64, left : left + 64])


def test_joining_the_tiles_of_a_map_gives_the_map(tiles):
    maps = torch.rand(3, 1, *IMAGE)
    assert torch.equal(tiles.join(tiles.cut(maps)), maps)


def test_without_tiles_a_geometry_has_none():
    assert Tiles.of(Geometry(IMAGE)) is None


def test_batches_of_tiles_can_be_iterated_again(tiles, pictures):
    paths = list_pictures(pictures / "train")[:2]
    chosen = [Picture(path.name, path=path) for path in paths]
    source = PictureBatches(chosen, TILED, 8, "reading")
    batches = TileBatches(source, tiles, 3)
    for _ in range(2):
        assert [len(batch) for batch in batches] == [3, 1, 3, 1]
    whole = torch.cat([*source])
    assert torch.equal(torch.cat([*batches]), tiles.cut(whole))


@pytest.fixture
def tiled(detector, pictures):
    options = tiny_options(pictures, geometry=TILED)
    with pytest.warns(UserWarning):
        return fit(detector, pictures / "train", options)


def test_a_picture_has_the_score_of_its_worst_tile(tiled, tiles, tmp_path):
    assert tiled.pipeline.config.size == (64, 64)
    images = torch.rand(2, 3, *IMAGE)
    with torch.no_grad():
        stages = detect(tiled.pipeline, tiles, images)
        each = tiled.pipeline(tiles.cut(images))
    scores = each.score.reshape(2, tiles.count)
    assert torch.equal(stages["score"], scores.amax(dim=1))
    assert torch.equal(stages["anomaly_map"], tiles.join(each.anomaly_map))
    assert {value.shape[0] for value in stages.values()} == {2}
    save(tiled, tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors")
    assert again.geometry == TILED == tiled.geometry


def test_masks_are_refused_with_tiles_before_the_fit(pictures, tmp_path):
    path = mask_file(tmp_path / "mask.png", l_shape(*FRAME))
    options = tiny_options(pictures, geometry=TILED, roi=path)
    with pytest.raises(InputError, match="leave out --tile"):
        fit("padim", pictures / "train", options)


def test_the_bank_has_the_patches_of_all_tiles(pictures, tiles):
    sizes = []
    for geometry in (TILED, dataclasses.replace(TILED, size=(64, 64))):
        options = tiny_options(
            pictures, geometry=geometry, detector={"coreset": 0.1}
        )
        with pytest.warns(UserWarning):
            model = fit("patchcore", pictures / "train", options)
        sizes.append(model.pipeline.config.n_vectors)
    assert abs(sizes[0] - tiles.count * sizes[1]) <= tiles.count
