"""anomalib's training: its weights before the first step, the pictures of each step, and the losses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback
from torch import Tensor

Orders = list[list[list[str]]]


class Recorder(Callback):
    """Store the checkpoint before the first step, names of pictures by epoch and step, and the losses.

    Args:
        path: checkpoint to write.

    Attributes:
        orders: names of pictures by epoch and step.
        losses: the loss of each step.
        scaled: the last image (3, H, W) of each picture, as the model got it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.orders: Orders = []
        self.losses: list[float] = []
        self.scaled: dict[str, Tensor] = {}

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Let the model take images of another type."""
        del trainer
        # STFPM calls the method `forward` of its model, which runs no hook.
        model = pl_module.model
        for network in (model, *model.children()):
            network.register_forward_pre_hook(_as_weights)

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin a list of steps."""
        del trainer, pl_module
        self.orders.append([])

    def on_train_batch_start(
        self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int
    ) -> None:
        """Store the weights before the first step, and the names of the pictures of each."""
        del pl_module, batch_idx
        if trainer.global_step == 0:
            trainer.save_checkpoint(self.path)
        self.orders[-1].append([Path(path).name for path in batch.image_path])

    def on_train_batch_end(
        self,
        trainer: Any,
        pl_module: Any,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Store the loss of the step, and the pictures as the model got them."""
        del trainer, pl_module, batch_idx
        self.losses.append(float(outputs["loss"]))
        for path, image in zip(batch.image_path, batch.image, strict=True):
            self.scaled[Path(path).name] = image.as_subclass(Tensor)


def _as_weights(model: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return images in the type of the weights; anomalib's batches are always float32."""
    first = next(model.parameters(), None)
    if first is None or not isinstance(given[0], Tensor):
        return given
    return given[0].to(first.dtype), *given[1:]
