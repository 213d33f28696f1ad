"""Finished epochs: when a training ends, which epoch is kept, and losses that end it."""

import signal

import pytest
import torch

from anomedge.errors import ModelError
from anomedge.pipelines import Config
from anomedge.pipelines.training import TrainOptions
from anomedge.pipelines.training import course as course_module
from anomedge.pipelines.training.course import Course
from anomedge.pipelines.training.state import Identity, read_state
from tests.pipelines.training.detectors import SIZE, Mean


@pytest.fixture
def course_of():
    def made(path=None, **options):
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
        return Course(pipeline, given, identity, 2, path)

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


@pytest.fixture
def interruptible():
    """SIGINT interrupts, also where the tests were started in the background, which ignores it."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.mark.usefixtures("interruptible")
def test_a_signal_while_an_epoch_is_stored_loses_no_epoch(
    course_of, tmp_path, monkeypatch
):
    path = tmp_path / "part.training" / "state.safetensors"
    course = course_of(path, epochs=9)
    write_state = course_module.write_state

    def interrupted(state, path):
        signal.raise_signal(signal.SIGINT)
        write_state(state, path)

    monkeypatch.setattr(course_module, "write_state", interrupted)
    with pytest.raises(KeyboardInterrupt) as stop, course.shown():
        course.finish_epoch(1.0, None)
    assert read_state(path).losses.epochs == 1
    assert "1 of 9 epochs are stored" in stop.value.__notes__[0]


@pytest.mark.parametrize(("is_written", "stored"), [(False, 1), (True, 2)])
def test_a_stop_while_an_epoch_is_stored_counts_the_epochs_in_the_file(
    is_written, stored, course_of, tmp_path, monkeypatch
):
    course = course_of(
        tmp_path / "part.training" / "state.safetensors", epochs=9
    )
    write_state = course_module.write_state

    def stopped(state, path):
        if state.losses.epochs == 2 and not is_written:
            raise KeyboardInterrupt
        write_state(state, path)
        if state.losses.epochs == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(course_module, "write_state", stopped)
    with pytest.raises(KeyboardInterrupt) as stop, course.shown():
        course.finish_epoch(2.0, None)
        course.finish_epoch(1.0, None)
    assert f"{stored} of 9 epochs are stored" in stop.value.__notes__[0]


def test_epochs_of_another_training_are_not_counted(course_of, tmp_path):
    path = tmp_path / "part.training" / "state.safetensors"
    course_of(path, epochs=9).finish_epoch(2.0, None)
    other = course_of(path, epochs=9, train_batch=2)
    with pytest.raises(KeyboardInterrupt) as stop, other.shown():
        raise KeyboardInterrupt
    assert (
        "0 of 9 epochs were finished and none is stored"
        in stop.value.__notes__[0]
    )
