"""Choose a runtime where the user names none: the fastest of those that this machine has, by fixed rules.

Nothing is measured and no vendor is imported. Each runtime states its rank in `Session.preference`; `RANKS` orders them.
If the chosen runtime does not open, that is an error: a station that runs slower without notice is worse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anomedge.errors import (
    AnomedgeError,
    DeviceMismatch,
    RuntimeFailure,
    RuntimeMissing,
)

if TYPE_CHECKING:
    from anomedge.runtimes.base import Session

__all__ = ["RANKS", "Choice", "Preference", "choose", "explained"]

RANKS = {
    "engine on a GPU": 50,
    "portable engine on a GPU": 40,
    "GPU": 30,
    "faster on a CPU": 20,
    "CPU": 10,
    "unknown": 0,
}
"""Classes of speed, the faster ones with larger numbers; equal ranks are ordered by name."""


@dataclass(frozen=True)
class Preference:
    """How a runtime ranks on this machine.

    Attributes:
        speed: a key of `RANKS`.
        reason: for the line that names the choice.
        device: device that the rank is about; None for the runtime's default.
    """

    speed: str = "unknown"
    reason: str = ""
    device: str | None = None


@dataclass(frozen=True)
class Choice:
    """The chosen runtime.

    Attributes:
        runtime: its full name.
        device: device to open; None for the runtime's default.
        reason: why it is the fastest.
        others: names of the other runtimes that could run instead, fastest first.
        equal: those of them that have the same rank.
    """

    runtime: str
    device: str | None
    reason: str
    others: tuple[str, ...] = ()
    equal: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """One line for the user.

        >>> Choice("openvino", None, "int8", ("onnxruntime",)).line
        'runtime: openvino (int8), chosen by rule, not measured; --runtime onnxruntime would run too'
        """
        where = f" on {self.device}" if self.device else ""
        reason = f" ({self.reason})" if self.reason else ""
        chosen = f"runtime: {self.runtime}{where}{reason}"
        if not self.others:
            return f"{chosen}, the only one here for these options"
        if self.equal:
            return (
                f"{chosen}, chosen by name before {' and '.join(self.equal)}, which may be as fast or faster: "
                f"`anomedge bench` measures, --runtime names another"
            )
        return (
            f"{chosen}, chosen by rule, not measured; "
            f"--runtime {' or '.join(self.others)} would run too"
        )


def choose(
    found: Sequence[type[Session]],
    precision: str,
    device: str | None,
    options: Sequence[str] = (),
) -> Choice:
    """Return the fastest runtime.

    A runtime that does not take the device, the precision or an option is left out, unless none takes it: then the
    first one reports the error.

    Args:
        found: runtimes that can run here, at least one.
        precision: a variant of the bundle or a mode such as "tf32".
        device: device that the user named; None for the fastest.
        options: names of the options that the user gave.
    """
    modes = {mode for runtime in found for mode in runtime.Options.modes}
    left = list(found)
    if precision in modes:
        left = [each for each in left if precision in each.Options.modes]
    takers = [
        each for each in left if {*options} <= each.Options.model_fields.keys()
    ]
    left = _taking_device(takers or left, device)
    ranked = sorted(
        ((each.preference(precision), each.name) for each in left),
        key=lambda pair: (-RANKS[pair[0].speed], pair[1]),
    )
    best, name = ranked[0]
    others = tuple(other for _, other in ranked[1:])
    equal = tuple(
        other for rank, other in ranked[1:] if rank.speed == best.speed
    )
    if device is not None:
        return Choice(name, device, "", others, equal)
    return Choice(name, best.device, best.reason, others, equal)


def _taking_device(
    found: list[type[Session]], device: str | None
) -> list[type[Session]]:
    """Return the runtimes with a device of that family, such as gpu for GPU.1; all if none has."""
    if device is None:
        return found
    family = device.lower().split(":")[0].split(".")[0]
    return [each for each in found if family in each.devices] or found


def explained(error: AnomedgeError, choice: Choice) -> AnomedgeError:
    """Return the error of a chosen runtime that does not open, with the alternatives.

    There is no fallback to the next one: the user decides about a slower runtime.
    """
    kinds = (RuntimeMissing, DeviceMismatch, RuntimeFailure)
    if not choice.others or not isinstance(error, kinds):
        return error
    return type(error)(
        f"{error}; {choice.runtime} was chosen because no runtime was named: `anomedge doctor` shows what is missing, "
        f"and --runtime {' or '.join(choice.others)} runs something else instead, perhaps slower"
    )
