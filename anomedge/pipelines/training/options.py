"""Options of a training that all trained detectors share."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from torch import nn

from anomedge.pipelines.base import Options
from anomedge.pipelines.training.processor import ProcessorName

__all__ = ["TrainOptions"]


class TrainOptions(Options):
    """Options of a training; a detector states its own defaults by defining a field again.

    Attributes:
        not_compared: options that a resumed training may have otherwise, such as paths of files whose content is compared.
    """

    not_compared: ClassVar[frozenset[str]] = frozenset({"resume"})

    epochs: int = Field(
        100,
        ge=1,
        le=100_000,
        description="Passes over the pictures; fewer with --patience.",
    )
    train_batch: int = Field(
        32, ge=1, le=4096, description="Images per step of the training."
    )
    learning_rate: float = Field(
        1e-3, gt=0, le=100, description="Learning rate of the optimiser."
    )
    weight_decay: float = Field(
        0.0, ge=0, le=1, description="Weight decay of the optimiser."
    )
    patience: int | None = Field(
        None,
        ge=1,
        description="Stop after this number of epochs without a lower loss on images that are not trained on, and keep the "
        "best epoch; default: off, all epochs.",
    )
    held_out: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="With --patience: share of the images that measure the loss and are not trained on.",
    )
    flip: Literal["none", "horizontal", "vertical", "both"] = Field(
        "none", description="Mirror images at random."
    )
    rotation: float = Field(
        0.0,
        ge=0,
        le=180,
        description="Rotate images at random by up to this angle, in degrees.",
    )
    brightness: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Multiply images at random by 1 minus to 1 plus this number.",
    )
    device: ProcessorName | None = Field(
        None,
        description="Processor of the training: cpu, cuda or cuda:1; default: cuda if it can be used, else cpu.",
    )
    mixed_precision: bool = Field(
        False, description="Run networks in bfloat16 during the training."
    )
    resume: bool = Field(
        False,
        description="Continue an interrupted training after its last finished epoch, if there is one.",
    )

    @field_validator("held_out")
    @classmethod
    def _refuse_unused_share(cls, share: float, info: ValidationInfo) -> float:
        """Refuse a share of held-out images where none are held out."""
        is_default = share == cls.model_fields["held_out"].default
        # An invalid patience is absent, and has its own message.
        if not is_default and info.data.get("patience", 1) is None:
            raise PydanticCustomError(
                "held_out",
                "--patience beside it, without which no images are held out: give --patience 10, or leave out --held-out",
            )
        return share

    def compared(self) -> dict[str, str]:
        """Return the options that a resumed training must have alike, as text."""
        return {
            name: _text(getattr(self, name))
            for name in type(self).model_fields
            if name not in self.not_compared
        }

    def recorded(self) -> dict[str, Any]:
        """Return the options of the training itself, for the model's card."""
        names = TrainOptions.model_fields.keys() - TrainOptions.not_compared
        return self.model_dump(mode="json", include=set(names))


def _text(value: Any) -> str:
    if isinstance(value, nn.Module):
        return type(value).__name__
    return str(value)
