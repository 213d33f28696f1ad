"""What devices can do at most, as their makers say: one JSON file each in `devices`, every figure with its source.

The figures are peaks that no program reaches, so times from them are limits: nothing is faster. A file of the same form
anywhere else describes a board of one's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from anomedge.errors import InputError
from anomedge.files import JsonError, read_json, validated

__all__ = ["Device", "Figure", "available", "load"]

_LIMIT = 1 << 16
Text = Annotated[str, Field(min_length=1, max_length=2000)]


class Figure(BaseModel):
    """A number, where it was found, and how it was computed where it was not found as such."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    source: Text
    derived: Text | None = None


class Device(BaseModel):
    """One device, or one processor of it.

    Attributes:
        title: its name, the processor and the power mode meant.
        fp32: operations a second in float32, without TF32 (a multiplication and an addition are two).
        fp16, int8: the same in these types, dense; None where nobody says.
        bandwidth: bytes a second to and from memory.
        memory: bytes; None where it is what somebody put in.
        release: the newest system and runtime it is meant with.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: Text
    fp32: Figure
    fp16: Figure | None = None
    int8: Figure | None = None
    bandwidth: Figure
    memory: Figure | None = None
    release: Text

    def seconds(self, flops: float, moved: float) -> float:
        """The limit: arithmetic and memory side by side, whichever takes longer."""
        return max(flops / self.fp32.value, moved / self.bandwidth.value)

    def held_by(self, flops: float, moved: float) -> str:
        """Which of the two it is."""
        return (
            "arithmetic"
            if flops / self.fp32.value >= moved / self.bandwidth.value
            else "memory"
        )


def available() -> list[str]:
    """Names of the devices whose figures come along."""
    return sorted(path.stem for path in _folder().glob("*.json"))


def load(name: str) -> Device:
    """The device of a name, or of a file that somebody wrote.

    >>> load("jetson-orin-nano").bandwidth.value
    68000000000.0

    Raises:
        InputError: there is none of that name, or the file is none of a device.
    """
    own = name.endswith(".json")
    path = Path(name) if own else _folder() / f"{name}.json"
    if not own and name not in available():
        raise InputError(
            f"got device {name!r}; expected one of: {', '.join(available())}; or a .json file like theirs"
        )
    try:
        return validated(Device, read_json(path, _LIMIT, links=True))
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); expected a device's figures as JSON"
        ) from error
    except JsonError as error:
        raise InputError(
            f"{path} is not a valid description of a device ({error}); see {_folder()}"
        ) from error


def _folder() -> Path:
    return Path(__file__).parent / "devices"
