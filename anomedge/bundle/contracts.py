"""Inputs and outputs of a bundle's graphs, as stated by the manifest."""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

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
"""Largest fixed batch of frames, in bytes: four uint8 frames of 178 megapixels, the largest that are exported."""

Pixels = Annotated[int, Field(ge=1, le=LARGEST_SIDE)]


class Frozen(BaseModel):
    """Base of a manifest's parts: immutable, without unknown fields."""

    # Built within the manifest, or at the first use: a validator of each part would double the time of the import.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class InputContract(Frozen):
    """Input of the graph: RGB frames (B, height, width, 3) in grey levels; `batch` is a number or "dynamic".

    Frames are uint8. With `resize` "outside" they are float32: a picture of any size that the program has resized to
    the model's image (`anomedge.resample.outside_resize`), not rounded. Only then does the manifest have that field.
    """

    name: Literal["frames"] = "frames"
    dtype: Literal["uint8", "float32"] = "uint8"
    layout: Literal["NHWC"] = "NHWC"
    colour: Literal["RGB"] = "RGB"
    batch: Annotated[int, Field(ge=1, le=4096)] | Literal["dynamic"] = "dynamic"
    height: Pixels
    width: Pixels
    resize: Literal["outside"] | None = None

    @model_serializer(mode="wrap")
    def _without_defaults(
        self, handler: SerializerFunctionWrapHandler
    ) -> dict[str, Any]:
        fields: dict[str, Any] = handler(self)
        if self.resize is None:
            del fields["resize"]
        return fields

    @model_validator(mode="after")
    def _has_the_type_of_its_resize(self) -> "InputContract":
        if (self.dtype == "float32") != (self.resize == "outside"):
            raise ValueError(
                "expected float32 frames with an outside resize, and uint8 frames without"
            )
        return self

    @model_validator(mode="after")
    def _fits_into_memory(self) -> "InputContract":
        """Bound the memory that a fixed batch takes in every reader."""
        if (
            self.batch != "dynamic"
            and batch_bytes(self.batch, self.frame, self.bytes_a_value)
            > MOST_BATCH_BYTES
        ):
            raise ValueError(
                f"expected a fixed batch of frames of at most {MOST_BATCH_BYTES >> 30} GiB"
            )
        return self

    @property
    def bytes_a_value(self) -> int:
        """Bytes of one value of a frame."""
        return 1 if self.dtype == "uint8" else 4

    @property
    def frame(self) -> tuple[int, int]:
        """Height and width of a frame."""
        return self.height, self.width


class OutputContract(Frozen):
    """Output of the graph: float32, (B,) or (B, 1, h, w)."""

    name: str
    dtype: Literal["float32"] = "float32"
    shape: tuple[Pixels, ...] = Field(max_length=3)


def batch_bytes(
    batch: int, frame: tuple[int, int], bytes_a_value: int = 1
) -> int:
    """Bytes of a batch of RGB frames."""
    height, width = frame
    return batch * height * width * 3 * bytes_a_value
