"""Batches of a training: every image once per epoch, no batch of a single image."""

import pytest
import torch

from anomedge.errors import OutputError
from anomedge.pipelines import FitData
from anomedge.pipelines.training import TrainOptions
from anomedge.pipelines.training import images as module
from anomedge.pipelines.training.images import (
    Batches,
    ShuffledBatches,
    StoredImages,
    split_places,
)
from tests.pipelines.training.detectors import SIZE, images


def stored(count=7):
    return StoredImages(FitData(images(count).split(3), size=SIZE))


def epoch_of(found, number, **options):
    options = TrainOptions(train_batch=3, **options)
    places = range(len(found))
    return list(ShuffledBatches(found, places, options, 5, lambda: number))


def test_images_are_stored_as_they_are():
    found = stored()
    assert len(found) == 7
    assert torch.equal(found.at([6, 0]), images()[[6, 0]])
    batches = Batches(found, [0, 2, 3], 2)
    assert [len(batch) for batch in batches] == [2, 1]
    assert torch.equal(torch.cat(list(batches)), images()[[0, 2, 3]])


def test_the_type_of_the_images_is_kept():
    data = FitData([images().double()], size=SIZE)
    assert StoredImages(data).at([0]).dtype == torch.float64


def test_the_digest_is_that_of_the_images_in_any_batches():
    others = StoredImages(FitData([images()], size=SIZE))
    assert stored().digest == others.digest
    assert stored(8).digest != others.digest


def test_an_epoch_has_every_image_once_in_a_new_order():
    found = stored()
    first, second = epoch_of(found, 0), epoch_of(found, 1)
    assert [len(batch) for batch in first] == [3, 2, 2]
    one, other = torch.cat(first), torch.cat(second)
    assert not torch.equal(one, other)
    assert torch.equal(one, torch.cat(epoch_of(found, 0)))
    assert sorted(one.sum(dim=(1, 2, 3)).tolist()) == sorted(
        found.at(range(7)).sum(dim=(1, 2, 3)).tolist()
    )


def test_held_out_images_are_drawn_once():
    options = TrainOptions(patience=3, held_out=0.3)
    trained, held_out = split_places(10, options, 0)
    assert len(held_out) == 3
    assert sorted(trained + held_out) == list(range(10))
    assert split_places(10, options, 1)[1] != held_out


def test_a_full_disk_is_named(monkeypatch):
    class Full:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def write(self, _):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.tempfile, "TemporaryFile", Full)
    with pytest.raises(OutputError, match=r"No space left .* in TMPDIR"):
        stored()
