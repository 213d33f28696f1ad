"""Data of a fit: batches again and again, some of the images, labels."""

import numpy as np
import pytest
import torch

from anomedge.errors import InputError
from anomedge.images import Picture
from anomedge.pipelines.data import (
    FitData,
    LabelledBatches,
    PictureBatches,
    image_of,
)
from anomedge.resample import Geometry
from tests.pipelines.brightness import images

GEOMETRY = Geometry((8, 8))


def pictures(*greys):
    return [
        Picture(str(grey), pixels=np.full((8, 8, 3), grey, np.uint8))
        for grey in greys
    ]


def values(batches):
    """The first pixel of every image, batch by batch."""
    return [
        (255 * batch[:, 0, 0, 0]).round().int().tolist() for batch in batches
    ]


@pytest.mark.parametrize("name", ["normal", "labelled"])
def test_batches_that_can_be_iterated_once_are_refused(name):
    given = {"normal": [], "size": (8, 8)} | {name: iter([])}
    with pytest.raises(InputError, match="got list_iterator as batches"):
        FitData(**given)


def test_pictures_are_read_in_batches_in_each_iteration():
    batches = PictureBatches(pictures(1, 2, 3, 4, 5), GEOMETRY, 2)
    assert values(batches) == values(batches) == [[1, 2], [3, 4], [5]]
    assert values(PictureBatches([], GEOMETRY, 2)) == []


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_part_holds_the_images_of_these_places_in_order(in_memory):
    batches = PictureBatches(pictures(1, 2, 3, 4, 5), GEOMETRY, 2, "fitting")
    normal = list(batches) if in_memory else batches
    data = FitData(normal, size=(8, 8), seed=7)
    part = data.part({4, 0, 1})
    assert [v for batch in values(part) for v in batch] == [1, 2, 5]
    assert values(part) == values(part)
    assert part.seed == 7
    assert values(data.part([])) == []


def test_the_display_of_a_fold_has_its_name():
    normal = PictureBatches(pictures(1, 2, 3), GEOMETRY, 2, "fitting padim")
    data = FitData(normal, size=(8, 8))
    part = data.without_fold([[0, 2], [1]], 0)
    assert values(part) == [[2]]
    assert part.fold == "fold 1 of 2"
    assert part.normal.description == "fitting, fold 1 of 2"
    assert data.fold == ""


def test_a_part_of_a_part_counts_anew():
    data = FitData([images(0.0, 0.2, 0.4, 0.6)], size=(8, 8))
    assert values(data.part([1, 2, 3]).part([0, 2])) == [[51, 153]]


def test_normal_pictures_come_before_anomalous_ones():
    batches = LabelledBatches(
        PictureBatches(pictures(1, 2, 3), GEOMETRY, 2),
        PictureBatches(pictures(9), GEOMETRY, 2),
    )
    found = [(values([x])[0], labels.tolist()) for x, labels in batches]
    assert found == [([1, 2], [False] * 2), ([3], [False]), ([9], [True])]


def test_equal_seeds_draw_equal_numbers():
    data = FitData([], size=(8, 8), seed=3)
    one, two = (torch.rand(4, generator=data.generator()) for _ in range(2))
    assert torch.equal(one, two)


def test_an_image_is_in_the_detectors_size_and_range():
    image = image_of(pictures(255)[0], Geometry((16, 10), (12, 10)))
    assert image.shape == (1, 3, 12, 10)
    assert image.dtype == torch.float32
    assert image.min() == image.max() == 1
