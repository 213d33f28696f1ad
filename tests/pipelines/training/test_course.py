"""Finished epochs: when a training ends, which epoch is kept, and losses that end it."""

import pytest
import torch

from anomedge.errors import ModelError
from anomedge.pipelines import Config
from anomedge.pipelines.training import TrainOptions
from anomedge.pipelines.training.course import Course
from anomedge.pipelines.training.state import Identity
from tests.pipelines.training.detectors import SIZE, Mean


@pytest.fixture
def course_of():
    def made(**options):
        config = Config(size=SIZE)
        pipeline = Mean(config, **Mean.build_networks(config))
        pipeline.learner.requires_grad_(True)
        given = TrainOptions.checked(device="cpu", **options)
        identity = Identity(
            detector="mean-test",
            images=6,
            size=SIZE,
            pictures="0" * 64,
            seed=0,
            device="cpu",
            weights="0" * 64,
            options=given.compared(),
        )
        return Course(pipeline, given, identity, 2, None)

    return made


def test_a_training_ends_after_its_epochs(course_of):
    course = course_of(epochs=2)
    assert not course.finish_epoch(1.0, None)
    assert course.finish_epoch(2.0, None)
    record = course.record()
    assert (record.epochs, record.held_out) == (2, None)


def test_patience_ends_it_and_keeps_the_best_epoch(course_of):
    course = course_of(epochs=9, patience=2)
    weight = course.pipeline.learner[0].weight
    values = [3.0, 1.0, 2.0, 2.0]
    ended = []
    for epoch, value in enumerate(values):
        with torch.no_grad():
            weight.fill_(epoch)
        ended.append(course.finish_epoch(5.0, value))
    assert ended == [False, False, False, True]
    course.keep_best()
    assert (weight == 1).all()
    record = course.record()
    assert (record.kept, record.held_out) == (2, 1.0)


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_refused(course_of, loss):
    course = course_of(epochs=2)
    with pytest.raises(ModelError, match="in epoch 1; expected a finite one"):
        course.finish_epoch(loss, None)
    assert course.losses.epochs == 0
