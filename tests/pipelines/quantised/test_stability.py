"""Scores that rounding may move over the threshold are counted, others are not."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from anomedge.pipelines import Config
from anomedge.pipelines.quantised.stability import unstable_places
from tests.pipelines.brightness import Brightness
from tests.pipelines.quantised.networks import model_of

IMAGES = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Amplified(torch.nn.Module):
    """A level of 1e-6: rounding moves values to the next one, which is 0.1 away."""

    def forward(self, x):
        return (x * 1e6).round().remainder(2) * 0.1 + x


@pytest.fixture
def model():
    return model_of(Brightness(Config(size=(8, 8)), net=Amplified()))


def scores_of(model):
    with torch.no_grad():
        return model.pipeline(IMAGES).score.numpy()


def moved(model, threshold):
    decision = model.decision.model_copy(update={"threshold": threshold})
    return replace(model, decision=decision)


def test_scores_beside_the_threshold_are_unstable(model):
    scores = scores_of(model)
    beside = moved(model, float(scores[2]) + 1e-4)
    assert 2 in unstable_places(beside, IMAGES.split(4), scores)


def test_scores_far_from_the_threshold_are_stable(model):
    far = moved(model, float(scores_of(model).max()) + 1.0)
    assert unstable_places(far, IMAGES.split(4), scores_of(model)) == []


def test_a_detector_without_rounding_to_levels_is_stable():
    made = Brightness(Config(size=(8, 8)), net=torch.nn.Identity())
    model = model_of(made)
    scores = scores_of(model)
    beside = moved(model, float(scores[2]) + 1e-4)
    assert unstable_places(beside, IMAGES.split(4), scores) == []


def test_no_pictures_have_no_unstable_scores(model):
    assert unstable_places(model, [], np.empty(0)) == []
