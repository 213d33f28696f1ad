"""Verdicts of a client, those of the eager detector, and their differences."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Answers", "Difference", "difference", "eager_answers", "parsed"]

Map = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Answers:
    """Labels and raw scores by picture; flat maps (h * w,) by the place of their picture, where a client gives them."""

    labels: list[str]
    scores: list[float]
    maps: Mapping[int, Map] = field(default_factory=dict)

    @property
    def anomalous(self) -> int:
        """Number of pictures with the label `anomalous`."""
        return self.labels.count("anomalous")


class Difference(NamedTuple):
    """Equal labels, number of maps, and the largest errors in scales of normal scores; `map` is None without maps."""

    equal: int
    score: float
    maps: int
    map: float | None


def parsed(lines: str, maps: Mapping[int, Map]) -> Answers:
    """Return the answers of a client that prints one JSON object a picture."""
    found = [json.loads(line) for line in lines.splitlines()]
    return Answers(
        [each["label"] for each in found],
        [float(each["score"]) for each in found],
        maps,
    )


def difference(found: Answers, expected: Answers, scale: float) -> Difference:
    """Compare answers on the same pictures.

    Raises:
        ValueError: the client answered for another number of pictures, or a map has another shape.
    """
    pairs = zip(found.labels, expected.labels, strict=True)
    equal = sum(ours == theirs for ours, theirs in pairs)
    score = _largest(found.scores, expected.scores) / scale
    errors = [
        _largest(given, expected.maps[place]) / scale
        for place, given in found.maps.items()
    ]
    # As an array, so that NaN is the largest error.
    largest = float(np.max(errors)) if errors else None
    return Difference(equal, score, len(errors), largest)


def _largest(found: npt.ArrayLike, expected: npt.ArrayLike) -> float:
    """Return the largest absolute error; NaN if any value is NaN."""
    ours, theirs = np.asarray(found, float), np.asarray(expected, float)
    if ours.shape != theirs.shape:
        raise ValueError(
            f"got values of shape {ours.shape}; expected {theirs.shape}"
        )
    return float(np.abs(ours - theirs).max())


def eager_answers(
    model: Path, frames: Sequence[Path], threshold: float
) -> Answers:
    """Return the answers of the fitted detector in eager Torch, one picture at a time."""
    from anomedge.export.eager import EagerSession
    from anomedge.images import read_picture
    from anomedge.pipelines.model import load

    scores, maps = [], {}
    with EagerSession(load(model), model) as session:
        for place, path in enumerate(frames):
            found = session.run({"frames": read_picture(path)[None]})
            scores.append(float(found["score"][0]))
            maps[place] = found["anomaly_map"].ravel()
    labels = ["anomalous" if s > threshold else "normal" for s in scores]
    return Answers(labels, scores, maps)
