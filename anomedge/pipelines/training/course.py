"""The course of a training: finished epochs, the best one, the optimiser, and their stored state."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anomedge.errors import ModelError
from anomedge.pipelines.training.base import TrainedPipeline
from anomedge.pipelines.training.options import TrainOptions
from anomedge.pipelines.training.record import TrainingRecord
from anomedge.pipelines.training.restoring import (
    changing_tensors,
    load_optimiser,
    load_tensors,
    optimiser_content,
    random_states,
    refuse_other_tensors,
    restore_random,
    with_prefix,
    without_prefix,
)
from anomedge.pipelines.training.state import (
    Identity,
    Losses,
    TrainingState,
    read_state,
    refuse_other_training,
    write_state,
)
from anomedge.pipelines.training.stopping import stop_signals_held
from anomedge.progress import steps_shown

__all__ = ["Course"]


class Course:
    """The course of a training; a stored one is continued with the option `resume`, and replaced without it.

    Args:
        pipeline: the detector, with gradients in its trained networks.
        options: the options.
        identity: the training that a stored state must belong to.
        steps: steps per epoch.
        path: file of the stored state; None: no state is stored.

    Attributes:
        optimiser: the optimiser.
        schedule: schedule of its learning rate, if there is one.
        losses: losses of the finished epochs.
        title: name of the training in the progress display.

    Raises:
        InputError: the state of another training.
        ModelError: a damaged state.
    """

    def __init__(
        self,
        pipeline: TrainedPipeline[Any, Any],
        options: TrainOptions,
        identity: Identity,
        steps: int,
        path: Path | None,
    ) -> None:
        self.pipeline, self.options = pipeline, options
        self.identity, self.steps, self.path = identity, steps, path
        self.device = torch.device(identity.device)
        self.optimiser = pipeline.optimiser(options)
        self.schedule = pipeline.schedule(
            self.optimiser, options, steps * options.epochs
        )
        self.losses = Losses()
        self.title = f"training {pipeline.name}"
        self._best: dict[str, Tensor] = {}
        self._random = random_states(self.device)
        self._say: Callable[[int, str], None] = _say_nothing
        self._done = 0
        if path is not None and options.resume and os.path.lexists(path):
            self._restore(path)

    @property
    def is_finished(self) -> bool:
        """Whether all epochs are finished, or the loss has not fallen for as many as `--patience` says."""
        if self.losses.epochs >= self.options.epochs:
            return True
        since_best = self.losses.epochs - 1 - self.losses.best
        patience = self.options.patience
        return patience is not None and since_best >= patience

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the progress within the block; tell how to resume if it is stopped."""
        self._done = self.losses.epochs * self.steps
        total = self.options.epochs * self.steps
        try:
            with steps_shown(self.title, total, self._done) as self._say:
                yield
        except BaseException as stop:
            if not isinstance(stop, Exception):
                stop.add_note(self._how_to_resume())
            raise

    def begin(self) -> None:
        """Set the random generators as they were after the last finished epoch."""
        restore_random(self._random, self.device)

    def finish_step(self) -> None:
        """Count a step of the training."""
        self._done += 1
        self._say(self._done, self._described())

    def finish_epoch(self, loss: float, held_out: float | None) -> bool:
        """Store the state after an epoch; return whether the training is finished. Signals that stop it wait for the file.

        Raises:
            ModelError: a loss that is not finite.
            OutputError: the state cannot be written.
        """
        values = [loss] if held_out is None else [loss, held_out]
        if not all(map(math.isfinite, values)):
            raise ModelError(
                f"got a loss of {loss:g} in epoch {self.losses.epochs + 1}; expected a finite one: "
                f"train again with a smaller --learning-rate than {self.options.learning_rate:g}"
            )
        # A signal meanwhile would lose an epoch that is finished.
        with stop_signals_held():
            self.losses = self.losses.and_then(loss, held_out)
            is_best = self.losses.best == self.losses.epochs - 1
            if held_out is not None and is_best:
                self._best = _copied(changing_tensors(self.pipeline))
            self._store()
        return self.is_finished

    def keep_best(self) -> None:
        """Give the detector the weights of the best epoch, where held-out images tell it."""
        if self._best:
            load_tensors(self.pipeline, self._best)

    def record(self) -> TrainingRecord:
        """Return the facts of the finished training."""
        kept, held_out = self.losses.best, self.losses.held_out
        return TrainingRecord(
            epochs=self.losses.epochs,
            kept=kept + 1,
            loss=self.losses.trained[kept],
            held_out=held_out[kept] if held_out else None,
            device=self.identity.device,
            options=self.options.recorded() | self.identity.inputs,
        )

    def _store(self) -> None:
        if self.path is None:
            return
        plain, tensors = optimiser_content(self.optimiser, self.schedule)
        state = TrainingState(
            self.identity,
            self.losses,
            plain,
            with_prefix("model", changing_tensors(self.pipeline))
            | with_prefix("best", self._best)
            | with_prefix("optimiser", tensors)
            | with_prefix("random", random_states(self.device)),
        )
        self.path.parent.mkdir(exist_ok=True)
        write_state(state, self.path)

    def _restore(self, path: Path) -> None:
        state = read_state(path)
        refuse_other_training(state.identity, self.identity, path)
        parts = {
            name: without_prefix(name, state.tensors)
            for name in ("model", "best", "optimiser", "random")
        }
        try:
            load_tensors(self.pipeline, parts["model"])
            if parts["best"]:
                refuse_other_tensors(parts["best"], parts["model"])
            load_optimiser(
                self.optimiser, self.schedule, state.plain, parts["optimiser"]
            )
            restore_random(parts["random"], self.device)
        except (
            KeyError,
            RuntimeError,
            TypeError,
            ValueError,
            ModelError,
        ) as error:
            raise ModelError(
                f"{path} cannot be used ({error}); expected the state of this training: "
                f"remove it to train from the start"
            ) from error
        self.losses = state.losses
        self._best, self._random = parts["best"], parts["random"]

    def _described(self) -> str:
        epoch = min(self._done // self.steps + 1, self.options.epochs)
        text = f"epoch {epoch} of {self.options.epochs}"
        if self.losses.epochs:
            text += f", loss {self.losses.trained[-1]:.4g}"
        if self.losses.held_out:
            text += f", on held-out images {self.losses.held_out[-1]:.4g}"
        return text

    def _how_to_resume(self) -> str:
        total = self.options.epochs
        stored = self._stored_epochs()
        if self.path is None or not stored:
            finished = self.losses.epochs
            return (
                f"{finished} of {total} epochs were finished and none is stored"
            )
        return (
            f"{stored} of {total} epochs are stored in {self.path.parent}: "
            f"run the same command with --resume to continue"
        )

    def _stored_epochs(self) -> int:
        """Return the number of epochs in the file: a signal may have arrived just before or after it was replaced."""
        if self.path is None or not os.path.lexists(self.path):
            return 0
        try:
            state = read_state(self.path)
        except ModelError:
            return 0
        return state.losses.epochs if state.identity == self.identity else 0


def _copied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: tensor.detach().cpu().clone() for name, tensor in tensors.items()
    }


def _say_nothing(done: int, text: str) -> None:
    del done, text
