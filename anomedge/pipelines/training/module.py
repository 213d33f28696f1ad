"""The loop of a training on Lightning: steps, losses of epochs, early stopping."""

from __future__ import annotations

import signal
import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from lightning.fabric.plugins.environments.lightning import (
    LightningEnvironment,
)
from lightning.pytorch import Trainer
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from anomedge.components.lightning.module import AnomalyModule
from anomedge.components.module_backbones import silenced
from anomedge.pipelines.training.base import TrainedPipeline

__all__ = ["TrainingModule", "run_epochs"]


class Course(Protocol):
    """The course of a training that the loop reports to."""

    optimiser: Optimizer
    schedule: LRScheduler | None

    def begin(self) -> None:
        """Begin the first epoch of this run."""

    def finish_step(self) -> None:
        """Finish a step."""

    def finish_epoch(self, loss: float, held_out: float | None) -> bool:
        """Finish an epoch; return whether the training is finished."""


class TrainingModule(AnomalyModule):
    """A detector in training.

    Args:
        pipeline: the detector; its trained networks have gradients.
    """

    model: TrainedPipeline[Any, Any]

    def __init__(self, pipeline: TrainedPipeline[Any, Any]) -> None:
        super().__init__(adaptive_threshold=False)
        self.model = pipeline
        self.course: Course
        self._losses = _MeanLoss()
        self._held_out = _MeanLoss()

    def configure_optimizers(self) -> Optimizer:
        """Return the optimiser; the schedule advances in `on_train_batch_end`."""
        return self.course.optimiser

    def on_train_start(self) -> None:
        """Begin the training."""
        self.course.begin()

    def on_train_epoch_start(self) -> None:
        """Put the trained networks into training mode, all else into evaluation mode."""
        self._losses, self._held_out = _MeanLoss(), _MeanLoss()
        self.model.eval()
        for name in self.model.trained:
            self.model.get_submodule(name).train()

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        """Return the loss of a batch of images."""
        del batch_idx
        loss = self.model.loss(batch)
        self._losses.add(loss, len(batch))
        return loss

    def on_train_batch_end(self, *_: Any) -> None:
        """Advance the schedule and the progress."""
        if self.course.schedule is not None:
            self.course.schedule.step()
        self.course.finish_step()

    def on_validation_epoch_start(self) -> None:
        """Put all networks into evaluation mode."""
        self.model.eval()

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        """Add the loss of a batch of held-out images."""
        del batch_idx
        self._held_out.add(self.model.loss(batch), len(batch))

    def on_validation_epoch_end(self) -> None:
        """Compute no threshold: it is placed after the training, with other pictures."""

    def on_train_epoch_end(self) -> None:
        """Report the epoch's losses, and stop when the training is finished."""
        is_finished = self.course.finish_epoch(
            self._losses.mean(),
            self._held_out.mean() if self._held_out.count else None,
        )
        if is_finished:
            self.trainer.should_stop = True


class _MeanLoss:
    """Mean loss of the images of an epoch; on their device until it is read."""

    def __init__(self) -> None:
        self.losses: list[Tensor] = []
        self.sizes: list[int] = []

    @property
    def count(self) -> int:
        """Number of images."""
        return sum(self.sizes)

    def add(self, loss: Tensor, images: int) -> None:
        """Add the mean loss of some images."""
        self.losses.append(loss.detach())
        self.sizes.append(images)

    def mean(self) -> float:
        """Return the mean over all images."""
        losses = torch.stack(self.losses).double().cpu()
        sizes = torch.tensor(self.sizes, dtype=torch.float64)
        return float((losses * sizes).sum() / sizes.sum())


def run_epochs(
    module: TrainingModule,
    batches: Iterable[Tensor],
    held_out: Sequence[Tensor] | Iterable[Tensor] | None,
    epochs: int,
    device: torch.device,
) -> None:
    """Run some epochs on a device; the module is on the CPU afterwards.

    Args:
        module: the detector in training.
        batches: batches to train on.
        held_out: batches that measure the loss; None without early stopping.
        epochs: number of epochs.
        device: processor.
    """
    is_gpu = device.type == "cuda"
    with _quiet(), _own_interrupt():
        trainer = Trainer(
            accelerator="gpu" if is_gpu else "cpu",
            devices=[device.index or 0] if is_gpu else 1,
            max_epochs=epochs,
            plugins=[LightningEnvironment()],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            inference_mode=False,
        )
        trainer.fit(module, batches, held_out)
    module.cpu()


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress Lightning's remarks on machines and loaders."""
    with (
        silenced("lightning.pytorch"),
        silenced("lightning.fabric"),
        silenced("lightning.pytorch.utilities.rank_zero"),
        silenced("lightning.fabric.utilities.rank_zero"),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", module=r"lightning\.")
        yield


@contextmanager
def _own_interrupt() -> Iterator[None]:
    """Raise KeyboardInterrupt after Ctrl-C; Lightning ends the program instead, and ignores further ones."""
    is_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if is_main else None
    try:
        yield
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from stop
        raise
    finally:
        if is_main:
            signal.signal(signal.SIGINT, handler)
