"""Inputs and outputs of a bundle's graphs, as stated by the manifest."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from anomedge.resample import LARGEST_SIDE

__all__ = [
    "MOST_BATCH_BYTES",
    "Frozen",
    "InputContract",
    "OutputContract",
    "Pixels",
    "batch_bytes",
]

MOST_BATCH_BYTES = 2 << 30
"""Largest fixed batch of frames, in bytes: two frames of 16384x16384."""

Pixels = Annotated[int, Field(ge=1, le=LARGEST_SIDE)]


class Frozen(BaseModel):
    """Base of a manifest's parts: immutable, without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class InputContract(Frozen):
    """Input of the graph: RGB frames, uint8 (B, height, width, 3); `batch` is a number or "dynamic"."""

    name: Literal["frames"] = "frames"
    dtype: Literal["uint8"] = "uint8"
    layout: Literal["NHWC"] = "NHWC"
    colour: Literal["RGB"] = "RGB"
    batch: Annotated[int, Field(ge=1, le=4096)] | Literal["dynamic"] = "dynamic"
    height: Pixels
    width: Pixels

    @model_validator(mode="after")
    def _fits_into_memory(self) -> "InputContract":
        """Bound the memory that a fixed batch takes in every reader."""
        if (
            self.batch != "dynamic"
            and batch_bytes(self.batch, self.frame) > MOST_BATCH_BYTES
        ):
            raise ValueError(
                f"expected a fixed batch of frames of at most {MOST_BATCH_BYTES >> 30} GiB"
            )
        return self

    @property
    def frame(self) -> tuple[int, int]:
        """Height and width of a frame."""
        return self.height, self.width


class OutputContract(Frozen):
    """Output of the graph: float32, (B,) or (B, 1, h, w)."""

    name: str
    dtype: Literal["float32"] = "float32"
    shape: tuple[Pixels, ...] = Field(max_length=3)


def batch_bytes(batch: int, frame: tuple[int, int]) -> int:
    """Bytes of a batch of RGB frames, uint8."""
    height, width = frame
    return batch * height * width * 3
