"""Pictures in other sizes: multiples of the model's on both sides of the threshold, and sizes that are drawn."""

import numpy as np
import pytest

from anomedge.images import Picture
from anomedge.parity.pictures import SCALED, extremes
from anomedge.parity.sizes import scaled_pictures
from anomedge.resample import Geometry, Region

SIZE = (20, 24)


def scaled(geometry, seed=0, scores=(1.0, 2.0, 50.0, 60.0, 70.0)):
    given = [
        Picture(name, pixels=np.full((30, 40, 3), 9, np.uint8))
        for name in "abc"[: len(scores) - 2]
    ]
    given += extremes((30, 40))[:2]
    generator = np.random.default_rng(seed)
    return scaled_pictures(given, np.array(scores), 40.0, geometry, generator)


def sizes(made):
    return [picture.frame().shape[:2] for picture in made]


def test_every_small_multiple_runs_on_both_sides_of_the_threshold():
    made = scaled(Geometry(SIZE))
    assert {picture.generated for picture in made} == {SCALED}
    for factor in (1, 2, 3, 4):
        size = (20 * factor, 24 * factor)
        here = [p.name for p in made if p.frame().shape[:2] == size]
        sides = {name.split("/")[1][0] for name in here}
        assert "c" in sides and sides & {"a", "b"}


def test_other_sizes_are_drawn():
    one, same, other = (sizes(scaled(Geometry(SIZE), seed)) for seed in (1, 1, 2))  # fmt: skip
    assert one == same
    assert {*one} != {*other}
    unequal = [s for s in one if s[0] / 20 != s[1] / 24]
    assert len(unequal) == 4
    assert sum(h % 20 == 0 and w % 24 == 0 for h, w in unequal) >= 2


def test_the_part_that_the_model_sees_is_the_multiple():
    geometry = Geometry(SIZE, region=Region(0.1, 0.2, 0.75, 0.9))
    parts = {geometry.part(size) for size in sizes(scaled(geometry))}
    assert {(20, 24), (40, 48), (60, 72), (80, 96)} <= parts


@pytest.mark.parametrize("scores", [(1.0, 1.0, 1.0), (np.nan, 60.0, 60.0)])
def test_extreme_frames_stand_in_where_a_side_has_no_other(scores):
    made = scaled(Geometry(SIZE), scores=scores)
    assert len(made) == 12
    assert any("/a " in picture.name for picture in made)


def test_a_model_of_large_images_gets_fewer_sizes():
    assert sizes(scaled(Geometry((2048, 4096))))[:2] == [(2048, 4096)] * 2
