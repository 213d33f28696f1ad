"""Run pictures through a session and collect scores and anomaly maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anomedge.errors import InputError
from anomedge.images import Picture
from anomedge.progress import track
from anomedge.resample.outside_resize import Framing
from anomedge.runtimes import Session, Tensors

__all__ = ["FRAMES", "Outputs", "collect", "joined"]

FRAMES = "frames"
"""Name of the graph's input."""


@dataclass(frozen=True)
class Outputs:
    """Scores (N,) and maps (N, 1, H, W) of N pictures; the maps are None for a detector without one."""

    score: npt.NDArray[np.floating]
    anomaly_map: npt.NDArray[np.floating] | None = None

    @classmethod
    def of(cls, tensors: Tensors) -> Outputs:
        """Return the outputs among the tensors of a session or of all stages."""
        return cls(tensors["score"], tensors.get("anomaly_map"))

    def at(self, places: Sequence[int] | slice) -> Outputs:
        """Return the outputs of the pictures at these indices."""
        maps = None if self.anomaly_map is None else self.anomaly_map[places]
        return Outputs(self.score[places], maps)


def joined(parts: Sequence[Outputs]) -> Outputs:
    """Return the outputs of all parts, in order."""
    maps = [part.anomaly_map for part in parts if part.anomaly_map is not None]
    return Outputs(
        np.concatenate([part.score for part in parts]),
        np.concatenate(maps) if maps else None,
    )


def collect(
    session: Session,
    pictures: Sequence[Picture],
    frame: Framing | None,
    batch: int,
) -> Outputs:
    """Run every picture in batches of exactly `batch`.

    The last batch is filled up with the first pictures.

    Args:
        session: an open runtime session.
        pictures: the pictures.
        frame: how they become the graph's input; None to leave them as they are.
        batch: number of frames per call.

    Raises:
        InputError: there are no pictures; an empty comparison must not pass.
    """
    if not pictures:
        raise InputError(
            "got no pictures to compare; expected at least one: give "
            "--images DIR"
        )
    count = len(pictures)
    starts = range(0, count, batch)
    parts: list[Outputs] = []
    for start in track(
        starts, f"{session.name} at batch {batch}", total=len(starts)
    ):
        chosen = [pictures[(start + i) % count] for i in range(batch)]
        frames = np.stack([picture.frame(frame) for picture in chosen])
        parts.append(Outputs.of(session.run({FRAMES: frames})))
    return joined(parts).at(slice(count))
