"""The effect of rounding: small for sound detectors, large where features barely vary."""

import pytest
import torch

from anomedge.pipelines.rounding import LARGEST_ROUNDING_EFFECT, rounding_effect
from tests.pipelines.brightness import WithoutMap, detector

IMAGES = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
UNIT = torch.finfo(torch.float32).eps


@pytest.mark.parametrize("kind", [type(detector()), WithoutMap])
def test_the_effect_is_a_few_units_in_the_last_place(kind):
    """Two roundings of values up to 1, in units of a scale of 1."""
    effect = rounding_effect(detector(kind), IMAGES, 1.0)
    assert UNIT / 10 < effect < 4 * UNIT


def test_a_smaller_scale_makes_the_same_error_larger():
    made = detector()
    made.centre.fill_(0.5)
    wide = rounding_effect(made, IMAGES, 1.0)
    narrow = rounding_effect(made, IMAGES, 0.5)
    assert narrow == pytest.approx(2 * wide)


def test_features_that_barely_vary_exceed_the_tolerance():
    made = detector()
    flat = 0.5 + 1e-5 * IMAGES
    made.centre.fill_(0.5)
    effect = rounding_effect(made, flat, scale=1e-5)
    assert effect > LARGEST_ROUNDING_EFFECT


def test_the_effect_is_the_same_every_time_and_leaves_the_detector():
    made = detector()
    before = made.net
    assert rounding_effect(made, IMAGES, 1.0) == rounding_effect(
        made, IMAGES, 1.0
    )
    assert made.net is before
