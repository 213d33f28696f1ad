"""Judge batches of other compositions: another order, the padding of an inspector, one anomalous picture among normal ones.

A graph that mixes up the frames of a batch can be right beside the neighbours of a known order and wrong in service, where
neighbours differ and an inspector pads a fixed batch with its last frame. So the cells run in an order that nobody knows
when the bundle is made, and padded and single frames run again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from anomedge.images import Picture
from anomedge.parity.comparison import Comparison
from anomedge.parity.outputs import FRAMES, Outputs
from anomedge.parity.records import CheckResult
from anomedge.parity.verdict import composition_at, failures_of_cell
from anomedge.progress import track
from anomedge.runtimes import Session

__all__ = [
    "MOST",
    "CompositionMeter",
    "by_score",
    "generator_of",
    "padded",
    "shuffled",
    "singles",
]

MOST = 8
"""Most lengths of a padded batch, and most places of a single anomalous picture, that are run per batch size."""

_SHOWN = 3


class CompositionMeter:
    """The differences of all batch sizes above 1 of one runtime between the compositions of a batch.

    Args:
        comparison: the reference, and the limits of its errors.
        seed: of the order; the check states it, so that a failure can be repeated.
    """

    def __init__(self, comparison: Comparison, seed: int) -> None:
        self._comparison, self._seed = comparison, seed
        self._checks: list[CheckResult] = []

    def add(self, session: Session, batch: int, outputs: Outputs) -> None:
        """Run the compositions of a batch size and compare them with the original and with the cell's run.

        Args:
            session: an open session.
            batch: number of frames per run, above 1.
            outputs: of all pictures at this batch size, in the reference's order.
        """
        runs = self._runs(session.name, batch)
        worst, failures = 0.0, list[str]()
        title = f"{session.name}, compositions at batch {batch}"
        for places in track(runs, title, total=len(runs)):
            error, lines = self._judge(session, places, outputs)
            worst, failures = max(worst, error), [*failures, *lines]
        self._checks.append(self._check(session.name, batch, worst, failures))

    def order(self, runtime: str, batch: int) -> list[int]:
        """Return the order of the pictures in the cell of a batch size; runtimes have orders of their own."""
        generator = generator_of(self._seed, f"{runtime} cell {batch}")
        count = len(self._comparison.reference.pictures)
        return [int(place) for place in generator.permutation(count)]

    def checks(self) -> tuple[CheckResult, ...]:
        """Return one check per batch size that was added."""
        return tuple(self._checks)

    def _runs(self, runtime: str, batch: int) -> list[list[int]]:
        """Return the places of the pictures of each run."""
        reference = self._comparison.reference
        generator = generator_of(self._seed, f"{runtime} {batch}")
        return [
            *padded(len(reference.pictures), batch, generator),
            *singles(
                reference.pictures, reference.outputs.score, batch, generator
            ),
        ]

    def _judge(
        self, session: Session, places: list[int], known: Outputs
    ) -> tuple[float, tuple[str, ...]]:
        """Run one batch; return its largest difference from the known outputs, and the failures."""
        comparison = self._comparison
        pictures = comparison.reference.pictures
        frames = [pictures[place].frame(comparison.frame) for place in places]
        found = Outputs.of(session.run({FRAMES: np.stack(frames)}))
        error = comparison.batch_error(known.at(places), found)
        error = error if np.isfinite(error) else float("inf")
        difference = comparison.difference(found, places)
        return error, failures_of_cell(difference, error, comparison.tolerance)

    def _check(
        self, runtime: str, batch: int, worst: float, failures: Sequence[str]
    ) -> CheckResult:
        shown = "; ".join(failures[:_SHOWN])
        seed = f"order of seed {self._seed}"
        return CheckResult(
            runtime=runtime,
            kind="contract",
            name=composition_at(batch),
            error=worst,
            tolerance=self._comparison.tolerance.batch,
            detail=f"{seed}: {shown}" if shown else seed,
            passed=not failures,
        )


def generator_of(seed: int, purpose: str) -> np.random.Generator:
    """Return the generator of one purpose, such as "onnxruntime 8"."""
    return np.random.default_rng([seed, *purpose.encode()])


def shuffled(
    count: int, batch: int, generator: np.random.Generator
) -> Iterator[list[int]]:
    """Yield batches of all pictures in another order; the last one is filled up with the first pictures."""
    order = generator.permutation(count).tolist()
    for start in range(0, count, batch):
        yield [order[(start + i) % count] for i in range(batch)]


def padded(
    count: int, batch: int, generator: np.random.Generator
) -> Iterator[list[int]]:
    """Yield batches of every length below `batch`, padded with their last frame as an inspector does.

    Above `MOST` lengths, some are drawn. The pictures are in another order.

    >>> [*padded(1, 2, np.random.default_rng(0))]
    [[0, 0]]
    """
    order = generator.permutation(count).tolist()
    start = 0
    for length in _drawn(range(1, batch), generator):
        part = [order[(start + i) % count] for i in range(length)]
        yield part + part[-1:] * (batch - length)
        start += length


def singles(
    pictures: Sequence[Picture],
    scores: npt.NDArray[np.floating],
    batch: int,
    generator: np.random.Generator,
) -> Iterator[list[int]]:
    """Yield batches of the picture of the highest score among those of the lowest, at each place of the batch.

    Generated pictures are left out where there are two others. Above `MOST` places, some are drawn.
    """
    *others, highest = by_score(pictures, scores)
    lowest = (others or [highest])[: batch - 1]
    for position in _drawn(range(batch), generator):
        order = generator.permutation(len(lowest)).tolist()
        part = [lowest[order[i % len(order)]] for i in range(batch - 1)]
        yield [*part[:position], highest, *part[position:]]


def by_score(
    pictures: Sequence[Picture], scores: npt.NDArray[np.floating]
) -> list[int]:
    """Return the places of the pictures by their scores, without generated ones where there are two others."""
    own = [i for i, p in enumerate(pictures) if p.generated is None]
    chosen = own if len(own) > 1 else [*range(len(pictures))]
    return sorted(chosen, key=lambda place: scores[place])


def _drawn(values: range, generator: np.random.Generator) -> list[int]:
    """Return all values in another order, or the first, the last and others that are drawn."""
    if len(values) <= MOST:
        return [int(value) for value in generator.permutation(values)]
    between = generator.permutation(values[1:-1])[: MOST - 2]
    return [values[0], *(int(value) for value in between), values[-1]]
