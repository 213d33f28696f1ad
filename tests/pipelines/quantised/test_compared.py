"""Images of a quantisation, read once, and scores of all kinds of pictures in one order."""

import numpy as np
import torch

from anomedge.pipelines.crossfit import Scored
from anomedge.pipelines.quantised import compared
from anomedge.pipelines.quantised.compared import (
    Compared,
    Images,
    Shown,
    Tiled,
    region_of,
)
from anomedge.pipelines.quantised.options import QuantiseOptions
from anomedge.pipelines.tiles import Tiles
from anomedge.resample import Geometry, Tiling
from tests.pipelines.brightness import detector
from tests.pipelines.levels import SIZE
from tests.pipelines.levels import fitted as fit
from tests.pipelines.quantised.networks import model_of, pictures


def count(batches):
    return sum(len(images) for images in batches)


def test_images_of_each_kind_are_read():
    options = QuantiseOptions(
        pictures(10),
        refit_on=pictures(3),
        labelled=pictures(2, spot=-60),
        batch=4,
    )
    images = Images.of(model_of(detector()), options)
    kinds = (images.normal, images.fitted, images.defects, images.labelled)
    assert [count(each) for each in kinds] == [10, 3, 50, 2]
    assert [len(each) for each in images.normal] == [4, 4, 2]
    assert [len(each) for each in images.probed()] == [3, 4]


def test_statistics_come_from_the_calibration_pictures_by_default():
    images = Images.of(model_of(detector()), QuantiseOptions(pictures(3)))
    assert images.fitted is images.normal
    assert count(images.defects) == count(images.labelled) == 0
    assert [len(each) for each in images.probed()] == [3]


def test_large_images_are_read_again_and_give_the_same(monkeypatch):
    options = QuantiseOptions(pictures(10), batch=4)
    kept = Images.of(model_of(detector()), options)
    monkeypatch.setattr(compared, "_MOST_BYTES", 1000)
    reread = Images.of(model_of(detector()), options)
    assert isinstance(kept.normal, list)
    assert not isinstance(reread.normal, list)
    assert torch.equal(reread.probed()[1], kept.probed()[1])
    for _ in range(2):
        for one, other in zip(kept.defects, reread.defects, strict=True):
            assert torch.equal(one, other)


def test_each_pass_over_images_is_shown(monkeypatch):
    seen = []

    def tracked(items, description, total):
        seen.append((description, total))
        return iter(items)

    monkeypatch.setattr(compared, "track", tracked)
    shown = Shown([torch.rand(2, 3, 8, 8)], "scoring")
    assert [count(shown), count(shown)] == [2, 2]
    assert count(Shown(iter([torch.rand(1, 3, 8, 8)]), "reading")) == 1
    assert seen == [("scoring", 1), ("scoring", 1), ("reading", None)]


def test_tiles_are_cut_in_each_pass():
    tiles = Tiles.of(Geometry((16, 16), tiling=Tiling((8, 8), 0)))
    cut = Tiled([torch.rand(2, 3, 16, 16)], tiles, batch=3)
    assert [len(each) for each in cut] == [len(each) for each in cut]
    assert count(cut) == 2 * tiles.count


def scored(values, peaks=True):
    found = np.array(values)
    return Scored(found, found + 1 if peaks else None)


def test_scores_of_all_kinds_are_joined():
    nothing = Scored(np.empty(0), None)
    joined = Compared(scored([1.0, 2.0]), scored([5.0]), nothing)
    assert joined.scores().tolist() == [1, 2, 5]
    assert joined.peaks().tolist() == [2, 3, 6]
    without = Compared(scored([1.0], peaks=False), nothing, nothing)
    assert without.peaks() is None


def test_only_detectors_with_a_mask_have_a_region():
    from anomedge.pipelines.padim import Padim

    assert region_of(model_of(detector())) is None
    inside = torch.ones(SIZE, dtype=torch.bool)
    inside[:, :8] = False
    made, _ = fit(Padim, inside=inside)
    assert torch.equal(region_of(model_of(made)), inside)
