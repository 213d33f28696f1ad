"""A training: equal for an equal seed, interrupted and resumed bit for bit, stopped early, refused clearly."""

import signal
import sys
from contextlib import contextmanager

import pytest
import torch

from anomedge.errors import (
    DeviceMismatch,
    InputError,
    ModelError,
    RuntimeMissing,
)
from anomedge.pipelines.training import course
from tests.pipelines.training.detectors import Mean, same_tensors, trained

CHANGING = {"patience": 2, "held_out": 0.3}
AUGMENTED = {"flip": "both", "rotation": 20.0, "brightness": 0.2}


class Interrupted(BaseException):
    """As a signal raises."""


def interrupt_after(monkeypatch, epochs, at="begin"):
    """Raise in the first step after some epochs."""
    finish_step = course.Course.finish_step

    def step(self):
        finish_step(self)
        if self.losses.epochs == epochs:
            raise Interrupted

    monkeypatch.setattr(course.Course, "finish_step", step)


def test_equal_seeds_give_equal_tensors_and_others_do_not():
    one = trained()
    assert same_tensors(one, trained())
    assert not same_tensors(one, trained(seed=1))
    assert not same_tensors(one, trained(pictures=1))


def test_the_training_lowers_the_loss_and_leaves_frozen_networks():
    found = trained(epochs=20, learning_rate=0.05)
    short = trained(epochs=1, learning_rate=1e-9)
    assert found.record.loss < 0.7 * short.record.loss
    assert torch.equal(found.frozen.weight, short.frozen.weight)
    assert not found.training
    assert not any(p.requires_grad for p in found.parameters())


def test_the_generators_of_the_caller_are_left_as_they_were():
    before = torch.get_rng_state()
    trained(epochs=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("options", [{}, CHANGING, AUGMENTED])
def test_interrupted_and_resumed_is_uninterrupted(
    options, tmp_path, monkeypatch
):
    state = tmp_path / "part.training" / "state.safetensors"
    whole = trained(**options)
    for epochs in (1, 2):
        with monkeypatch.context() as patched:
            interrupt_after(patched, epochs)
            with pytest.raises(Interrupted) as stopped:
                trained(state, resume=epochs > 1, **options)
        assert stopped.value.__notes__ == [
            f"{epochs} of 4 epochs are stored in {state.parent}: "
            f"run the same command with --resume to continue"
        ]
    resumed = trained(state, resume=True, **options)
    assert same_tensors(resumed, whole)
    assert resumed.record == whole.record


def test_an_interrupted_first_epoch_stores_nothing(tmp_path, monkeypatch):
    state = tmp_path / "state.safetensors"
    with monkeypatch.context() as patched:
        interrupt_after(patched, 0)
        with pytest.raises(Interrupted) as stopped:
            trained(state)
    assert stopped.value.__notes__ == [
        "0 of 4 epochs were finished and none is stored"
    ]
    assert same_tensors(trained(state, resume=True), trained())


def test_a_finished_training_is_read_and_not_repeated(tmp_path, monkeypatch):
    state = tmp_path / "state.safetensors"
    whole = trained(state)
    interrupt_after(monkeypatch, 4)
    assert same_tensors(trained(state, resume=True), whole)


def test_a_stored_training_is_not_overwritten(tmp_path):
    state = tmp_path / "state.safetensors"
    trained(state)
    with pytest.raises(InputError, match="continue it with --resume"):
        trained(state)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"learning_rate": 0.5}, "--learning-rate 0.001, now 0.5"),
        ({"flip": "both"}, "--flip none, now both"),
        ({"seed": 1}, "seed 0, now 1"),
        ({"count": 8}, "images 7, now 8"),
        ({"pictures": 1}, "other pictures"),
        (
            {"kind": type("Other", (Mean,), {"name": "other"})},
            "detector mean-test, now other",
        ),
    ],
)
def test_another_training_is_refused_with_the_difference(
    change, named, tmp_path
):
    state = tmp_path / "state.safetensors"
    trained(state, epochs=1)
    with pytest.raises(InputError, match=named):
        trained(state, epochs=1, resume=True, **change)


def test_further_data_are_compared_and_recorded(tmp_path):
    class Reading(Mean):
        name = "reading"
        content = "7 pictures"

        def inputs(self):
            return {"outside": self.content}

    state = tmp_path / "state.safetensors"
    found = trained(state, kind=Reading, epochs=1)
    assert found.record.options["outside"] == "7 pictures"
    trained(state, kind=Reading, epochs=1, resume=True)
    Reading.content = "8 pictures"
    with pytest.raises(
        InputError, match="--outside 7 pictures, now 8 pictures"
    ):
        trained(state, kind=Reading, epochs=1, resume=True)


def test_early_stopping_keeps_the_best_epoch():
    found = trained(
        epochs=50, patience=2, held_out=0.3, learning_rate=0.3, count=10
    )
    record = found.record
    assert record.epochs == record.kept + 2 < 50
    assert record.held_out is not None
    assert (found.prepared, found.finished) == (7, 3)
    same = trained(
        epochs=record.kept,
        patience=50,
        held_out=0.3,
        learning_rate=0.3,
        count=10,
    )
    assert same.record.epochs == record.kept


def test_a_loss_that_is_not_finite_ends_the_training(tmp_path):
    class Diverging(Mean):
        name = "diverging"

        def loss(self, images):
            return super().loss(images) * float("nan")

    state = tmp_path / "state.safetensors"
    with pytest.raises(
        ModelError, match=r"smaller --learning-rate than 0\.001"
    ):
        trained(state, kind=Diverging)
    assert not state.exists()


def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(DeviceMismatch, match="got --device cuda:99"):
        trained(device="cuda:99")


def test_one_image_is_too_few():
    with pytest.raises(InputError, match="got 1 images to train on"):
        trained(count=1)
    with pytest.raises(InputError, match="1 of them held out"):
        trained(count=2, patience=1)


def test_networks_run_in_bfloat16_on_request():
    mixed = trained(mixed_precision=True)
    assert same_tensors(mixed, trained(mixed_precision=True))
    assert not same_tensors(mixed, trained())
    assert mixed.learner[0].weight.dtype == torch.float32
    assert "forward" not in vars(mixed.learner)


def test_folds_are_trained_and_stored_apart(tmp_path, monkeypatch):
    from anomedge.pipelines import FitData
    from tests.pipelines.training.detectors import SIZE, images

    state = tmp_path / "state.safetensors"
    data = FitData(images().split(3), size=SIZE, state=state)
    options = Mean.options_class(epochs=1, device="cpu")
    folds = [[0, 1, 2], [3, 4, 5, 6]]
    titles = []

    @contextmanager
    def shown(title, *_):
        titles.append(title)
        yield lambda *_: None

    monkeypatch.setattr(course, "steps_shown", shown)
    first, second, last = Mean.fit_folds(data, options, folds)
    assert titles == [
        f"training mean-test{fold}"
        for fold in (", fold 1 of 2", ", fold 2 of 2", "")
    ]
    assert [each.prepared.item() for each in (first, second, last)] == [4, 3, 7]
    names = ["fold-1", "fold-2", "state"]
    found = sorted(path.stem for path in tmp_path.iterdir())
    assert found == names


def test_ctrl_c_in_a_program_is_its_usual_exception():
    class Interrupting(Mean):
        name = "interrupting"

        def loss(self, images):
            del images
            raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        trained(kind=Interrupting)
    assert signal.getsignal(signal.SIGINT) == before


def test_without_lightning_its_extra_is_named(monkeypatch):
    for name in ("lightning", "lightning.pytorch"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(
        sys.modules, "anomedge.components.lightning.module", raising=False
    )
    with pytest.raises(
        RuntimeMissing, match=r"mean-test.*pip install '\.\[train\]'"
    ):
        trained()
