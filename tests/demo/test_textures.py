from itertools import pairwise

import numpy as np
import pytest

from anomedge.demo.textures import (
    BANDS,
    DEFECTS,
    TEXTURES,
    PictureSet,
    write_pictures,
)
from anomedge.errors import InputError
from anomedge.images import list_pictures, read_folder, read_picture

SMALL = {"frame": (60, 80), "train": 3, "held_back": 2, "good": 2, "bad": 2}


@pytest.fixture(scope="module", params=TEXTURES)
def folder(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    write_pictures(folder, PictureSet(texture=request.param, **SMALL))
    return folder


def test_layout_and_sizes(folder):
    assert len(list_pictures(folder / "train" / "good")) == 3
    assert len(list_pictures(folder / "held_back")) == 2
    pictures = read_folder(folder)
    assert [p.name.split("/")[0] for p in pictures] == sorted(
        [*DEFECTS, "good"] * 2
    )
    assert {p.frame().shape for p in pictures} == {(60, 80, 3)}


def test_masks_mark_what_was_changed(folder):
    for picture in read_folder(folder):
        mask = picture.mask()
        assert mask.shape == (60, 80)
        assert picture.anomalous == bool(mask.any())
        assert mask.mean() < 0.3


def test_defects_stay_within_their_masks_rim():
    generator = np.random.default_rng(0)
    frame, other = (
        generator.integers(60, 200, (120, 160, 3), dtype=np.uint8)
        for _ in range(2)
    )
    for kind, plant in DEFECTS.items():
        defective, mask = plant(frame, other, np.random.default_rng(3))
        changed = (defective != frame).any(axis=2)
        assert changed[mask].mean() > 0.9, kind
        assert changed[~mask].mean() < 0.1, kind


def test_same_seed_same_pixels_other_seed_others(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_pictures(tmp_path / name, PictureSet(seed=seed, **SMALL))
    a, b, c = (
        [read_picture(p) for p in list_pictures(tmp_path / n)] for n in "abc"
    )
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    assert any(not np.array_equal(x, y) for x, y in zip(a, c, strict=True))


def test_bands_are_disjoint_and_cover_the_photograph():
    edges = sorted((band.top, band.bottom) for band in BANDS.values())
    assert edges[0][0] == 0
    assert edges[-1][1] == 512
    assert all(one[1] == two[0] for one, two in pairwise(edges))
    assert all(bottom - top >= 512 * 0.2 for top, bottom in edges)


def test_unknown_textures_are_refused():
    with pytest.raises(InputError, match="brick, grass, gravel"):
        PictureSet(texture="wood")
