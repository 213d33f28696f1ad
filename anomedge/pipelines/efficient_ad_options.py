"""Fit options of EfficientAD."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, PrivateAttr, field_validator
from pydantic_core import PydanticCustomError

from anomedge.components.patch_description import PdnSize
from anomedge.names import storable
from anomedge.pipelines.training import TrainOptions
from anomedge.pipelines.training.teacher_record import read_record

__all__ = ["EfficientAdOptions"]

_NO_TEACHER = (
    "the file of a teacher, a patch description network that was distilled from a backbone: give --teacher FILE, such as "
    "anomalib's pretrained_teacher_small.pth, or make one with `anomedge distil`"
)


class EfficientAdOptions(TrainOptions):
    """Fit options of EfficientAD."""

    # The teacher's weights and the pictures themselves are compared.
    not_compared = TrainOptions.not_compared | {"teacher", "penalty"}

    teacher: Path | None = Field(
        None,
        validate_default=True,
        description="Weights of the teacher, .safetensors or .pth, such as anomalib's pretrained_teacher_small.pth; required.",
    )
    model_size: PdnSize = Field(
        "small", description="Patch description network of teacher and student."
    )
    padding: bool = Field(
        False,
        description="Pad images and maps with zeros in teacher and student.",
    )
    pad_maps: bool = Field(
        True,
        description="Without --padding: surround the maps by 4 zeros on each side, so that they lie over the image.",
    )
    penalty: Path | None = Field(
        None,
        description="Folder of pictures from outside, such as ImageNet's, on which the student learns zeros; default: "
        "none, the loss lacks this term.",
    )
    epochs: int = Field(
        300,
        ge=1,
        le=100_000,
        description="Passes over the pictures; the paper makes 70,000 steps of one picture, so 70,000 / pictures passes.",
    )
    train_batch: int = Field(
        1, ge=1, le=4096, description="Images per step of the training."
    )
    learning_rate: float = Field(
        1e-4,
        gt=0,
        le=100,
        description="Learning rate of Adam; a tenth of it after 95 % of the steps.",
    )
    weight_decay: float = Field(
        1e-5, ge=0, le=1, description="Weight decay of Adam."
    )

    _licence: str = PrivateAttr("")

    @field_validator("teacher")
    @classmethod
    def _exists(cls, path: Path | None) -> Path:
        if path is None:
            raise PydanticCustomError("teacher", _NO_TEACHER)
        if not path.is_file():
            text = (
                f"{_NO_TEACHER}; there is no file of this name, check the path"
            )
            raise PydanticCustomError("teacher", text)
        return path

    def teacher_file(self) -> Path:
        """Return the file of the teacher, which the check of the options requires."""
        return self._exists(self.teacher)

    def weights_name(self) -> str:
        """Return the name of the teacher's file, without its folder."""
        return storable(self.teacher.name) if self.teacher else "none"

    def weights_licence(self) -> str:
        """Return the licence of the teacher's weights, which `anomedge distil` writes into its file."""
        return self._licence or super().weights_licence()

    def model_post_init(self, context: Any, /) -> None:
        """Read the licence before the training: the file may be gone afterwards."""
        super().model_post_init(context)
        record = read_record(self.teacher_file())
        self._licence = storable(record.weights_licence) if record else ""
