"""Facts of a training, for the model's card."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = ["TrainingRecord"]


class TrainingRecord(BaseModel):
    """Facts of a training.

    Attributes:
        epochs: finished epochs.
        kept: the epoch whose weights the detector has, counted from 1.
        loss: mean loss of the kept epoch on the images that were trained on.
        held_out: its loss on held-out images; None without early stopping.
        device: processor.
        options: options of the training, such as augmentations, and what identifies its further data.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int
    kept: int
    loss: float
    held_out: float | None
    device: str
    options: dict[str, str | int | float | bool | None]
