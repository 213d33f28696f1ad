"""Plan of a proof: runtimes, batch sizes, precision and device."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from anomedge import runtimes
from anomedge.bundle import Bundle
from anomedge.errors import InputError
from anomedge.parity.tolerances import Tolerance, release_tolerance
from anomedge.runtimes import Options, Session
from anomedge.runtimes.options import DEFAULT_BATCHES

__all__ = ["Plan", "batches_of"]


@dataclass(frozen=True)
class Plan:
    """Runtimes, batch sizes, precision and device of a proof.

    Attributes:
        runtimes: full names of the runtimes.
        batches: batch sizes.
        precision: a precision of the bundle, or one of a runtime such as "tf32".
        device: device in the vendor's notation; the runtime's default if None.
        threads: CPU threads; the runtime's default if None.
        widen: factor on this release's tolerances, 1 to 100.
        seed: of the orders in which pictures run again; the operating system's, so that no bundle can know it. The
            certificate states it: give it again to repeat a failure.
    """

    runtimes: Sequence[str]
    batches: Sequence[int]
    precision: str = "fp32"
    device: str | None = None
    threads: int | None = None
    widen: float = 1.0
    seed: int = field(
        default_factory=lambda: secrets.randbits(32), compare=False
    )

    @property
    def tolerance(self) -> Tolerance:
        """Largest errors that this release allows; the bundle's are ignored."""
        return release_tolerance(self.precision, self.widen)

    def options(self, runtime: str, **more: Any) -> Options:
        """Return the options for opening sessions of a runtime.

        Raises:
            InputError: the runtime does not take one of them.
        """
        largest = max(DEFAULT_BATCHES[2], *self.batches, 1)
        given = {
            "device": self.device,
            "precision": self.precision,
            "threads": self.threads,
            # Prefer the default range, to reuse engines of other commands.
            "batches": (*DEFAULT_BATCHES[:2], largest),
        }
        return runtimes.options_for(runtimes.get(runtime), **(given | more))

    def open(self, bundle: Bundle, runtime: str, **more: Any) -> Session:
        """Open a session of one of the plan's runtimes."""
        options = self.options(runtime, **more)
        return runtimes.get(runtime).from_bundle(bundle, options)


def batches_of(bundle: Bundle, asked: Sequence[int] = ()) -> list[int]:
    """Return the batch sizes to prove.

    Default: 1, 2, 3 and 8, or the single size of a graph with a fixed batch.

    Raises:
        InputError: the graph does not accept a requested size.
    """
    fixed = bundle.manifest.input.batch
    if fixed == "dynamic":
        return list(asked) or [1, 2, 3, 8]
    if wrong := [n for n in asked if n != fixed]:
        raise InputError(
            f"got batch sizes {wrong}; expected {fixed}, the only one this bundle was exported for"
        )
    return [int(fixed)]
