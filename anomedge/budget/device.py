"""Peak figures of devices from data sheets, one JSON file each in `devices`.

Each figure has its source. No program reaches these peaks, so times computed
from them are lower bounds. A file of the same form describes another board.
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
    """A number, its source, and its derivation if the source has no such number."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    source: Text
    derived: Text | None = None


class Device(BaseModel):
    """One device, or one processor of a device.

    Attributes:
        title: name, processor and power mode.
        fp32: operations per second in float32, without TF32; a multiplication
            and an addition are two operations.
        fp16, int8: the same in these types, dense; None if not published.
        bandwidth: memory bandwidth, in bytes per second.
        memory: bytes; None if it depends on the installed modules.
        release: the newest system and runtime that the figures are for.
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
        """Return the lower bound: the longer of arithmetic and traffic."""
        return max(flops / self.fp32.value, moved / self.bandwidth.value)

    def held_by(self, flops: float, moved: float) -> str:
        """Name the longer of the two: "arithmetic" or "memory"."""
        arithmetic = flops / self.fp32.value
        memory = moved / self.bandwidth.value
        return "arithmetic" if arithmetic >= memory else "memory"


def available() -> list[str]:
    """List the names of the packaged devices."""
    return sorted(path.stem for path in _folder().glob("*.json"))


def load(name: str) -> Device:
    """Load a packaged device by name, or the `.json` file of another one.

    >>> load("jetson-orin-nano").bandwidth.value
    68000000000.0

    Raises:
        InputError: an unknown name, or an unreadable or invalid file.
    """
    own = name.endswith(".json")
    path = Path(name) if own else _folder() / f"{name}.json"
    if not own and name not in available():
        raise InputError(
            f"got device {name!r}; expected one of: "
            f"{', '.join(available())}; or a .json file like theirs"
        )
    try:
        return validated(Device, read_json(path, _LIMIT, links=True))
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); "
            "expected a device's figures as JSON"
        ) from error
    except JsonError as error:
        raise InputError(
            f"{path} is not a valid description of a device ({error}); "
            f"see {_folder()}"
        ) from error


def _folder() -> Path:
    return Path(__file__).parent / "devices"
