"""Augmentations: off by default, of random choices of each image, exact where they can be."""

import math

import torch

from anomedge.pipelines.training import TrainOptions
from anomedge.pipelines.training.augment import augmented, rotated
from tests.pipelines.training.detectors import images


def changed(count=40, **options):
    given = images(count)
    generator = torch.Generator().manual_seed(3)
    return given, augmented(given, TrainOptions(**options), generator)


def test_nothing_changes_by_default():
    given, found = changed()
    assert found is given


def test_images_are_mirrored_at_random():
    given, found = changed(flip="horizontal")
    same = [torch.equal(a, b) for a, b in zip(given, found, strict=True)]
    mirrored = [
        torch.equal(a.flip(2), b) for a, b in zip(given, found, strict=True)
    ]
    assert all(a or b for a, b in zip(same, mirrored, strict=True))
    assert 5 < sum(same) < 35
    both = changed(flip="both")[1]
    assert any(
        torch.equal(a.flip(1, 2), b) for a, b in zip(given, both, strict=True)
    )


def test_a_rotation_moves_a_pixel_about_the_centre():
    image = torch.zeros(1, 3, 9, 13)
    image[:, :, 4, 9] = 1  # three pixels right of the centre
    quarter = rotated(image, torch.tensor([math.pi / 2]))
    places = quarter[0, 0].round(decimals=4).nonzero().tolist()
    assert places in ([[1, 6]], [[7, 6]])
    assert torch.allclose(rotated(image, torch.zeros(1)), image, atol=1e-6)


def test_brightness_is_a_factor_within_its_range():
    given, found = changed(brightness=0.2)
    factors = (found / given).flatten(1).median(dim=1).values
    assert factors.min() < 0.9 < 1.1 < factors.max()
    assert factors.min() >= 0.8
    assert factors.max() <= 1.2
    assert found.max() <= 1


def test_a_rotation_leaves_values_within_their_range():
    _, found = changed(rotation=180.0, brightness=0.5)
    assert 0 <= found.min() <= found.max() <= 1
