"""Compare the labels of a quantised detector with those of the float detector that it was made from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from anomedge.bundle import Bundle
from anomedge.errors import InputError
from anomedge.export.proof import pictures_of
from anomedge.pipelines.crossfit import score_images
from anomedge.pipelines.data import PictureBatches
from anomedge.pipelines.model import Model, load
from anomedge.pipelines.tiles import Tiles

__all__ = ["ComparedLabels", "compared_labels", "loaded_pair"]

_NAMED = 10


class ComparedLabels(NamedTuple):
    """Labels of pictures by the float detector and by the quantised one, each at its own threshold.

    Attributes:
        pictures: number of pictures.
        flips: names of the pictures whose labels differ.
    """

    pictures: int
    flips: tuple[str, ...]

    @property
    def in_words(self) -> str:
        """One line for a person."""
        named = ", ".join(self.flips[:_NAMED])
        shown = f": {named}" if self.flips else ""
        return f"float detector: {len(self.flips)} of {self.pictures} labels differ from the quantised detector's{shown}"


def loaded_pair(path: Path, float_path: Path) -> tuple[Model, Model]:
    """Load a quantised model file and the float model file that it was made from.

    Raises:
        InputError: the float model is not the one that was quantised.
        ModelError: not a model file.
    """
    model, original = load(path), load(float_path)
    if (
        model.quantisation is None
        or model.quantisation.float_model != original.digest
    ):
        raise InputError(
            f"{float_path} is not the float model of {path}; expected the file that was quantised"
        )
    return model, original


def compared_labels(
    bundle: Bundle,
    path: Path,
    float_path: Path,
    images: Sequence[Path],
    normal: str | None = None,
) -> ComparedLabels:
    """Label pictures by both detectors in eager Torch, at the thresholds of their files.

    Args:
        bundle: the INT8 bundle.
        path: the quantised model file.
        float_path: the float model file.
        images: folders of pictures.
        normal: label of normal pictures, where it is not a known one.

    Raises:
        InputError: the float model is not the one that was quantised.
        ModelError: not a model file.
    """
    model, original = loaded_pair(path, float_path)
    framing = bundle.manifest.framing
    pictures = pictures_of(images, framing, model.levels, normal)
    labels = []
    for each in (original, model):
        batches = PictureBatches(pictures, each.geometry, 8, "labelling")
        scored = score_images(each.pipeline, batches, Tiles.of(each.geometry))
        labels.append(each.decision.is_anomalous(scored.scores))
    places = np.flatnonzero(labels[0] != labels[1])
    return ComparedLabels(
        len(pictures), tuple(pictures[place].name for place in places)
    )
