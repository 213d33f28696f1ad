"""Options that every runtime takes; a runtime with more options subclasses this class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
)
from pydantic_core import PydanticCustomError

from anomedge.errors import InputError

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["DEFAULT_BATCHES", "Batches", "Options"]

Batches = tuple[int, int, int]

DEFAULT_BATCHES: Batches = (1, 1, 8)
_LARGEST_BATCH = 4096


class Options(BaseModel):
    """How to open a graph.

    Every field has a help text, from which command-line options are made.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    modes: ClassVar[tuple[str, ...]] = ()
    """Precisions that are modes of the runtime: they run the fp32 variant
    with the boolean option of their name."""

    device: str | None = Field(
        None, description="Device; the runtime's default when not given."
    )
    precision: str = Field("fp32", description="Variant of the bundle.")
    threads: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="CPU threads; the vendor's choice when not given.",
    )
    stages: bool = Field(
        False, description="Use the graph that outputs every stage."
    )
    batches: Batches = Field(
        DEFAULT_BATCHES,
        description="Smallest, typical and largest batch of an engine.",
    )

    @field_validator("batches")
    @classmethod
    def _check_batches(cls, batches: Batches) -> Batches:
        smallest, typical, largest = batches
        if not 1 <= smallest <= typical <= largest <= _LARGEST_BATCH:
            raise PydanticCustomError(
                "batches",
                f"smallest <= typical <= largest, from 1 to {_LARGEST_BATCH}",
            )
        return batches

    @classmethod
    def checked(cls, **values: Any) -> Self:
        """Return options from keywords.

        Raises:
            InputError: an unknown option, or a value out of range.
        """
        unknown = sorted(values.keys() - cls.model_fields.keys())
        if unknown:
            known = ", ".join(sorted(cls.model_fields))
            raise InputError(
                f"got options {unknown}; expected some of: {known}"
            )
        try:
            return cls(**values)
        except ValidationError as error:
            raise InputError(_first_fault(cls, error)) from error


def _first_fault(options: type[Options], error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    name = str(fault["loc"][0])
    expected = fault["msg"].removeprefix("Input should be ")
    meaning = options.model_fields[name].description
    return f"got {name}={fault['input']!r}; expected {expected}: {meaning}"
