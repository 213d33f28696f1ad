"""Fit a detector to a folder of normal pictures: split them, fit, and place the threshold."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from anomedge import pipelines
from anomedge.images import Picture
from anomedge.images.sizes import sizes_of
from anomedge.levels import Levels
from anomedge.pipelines.base import Options, Pipeline
from anomedge.pipelines.data import (
    FitData,
    LabelledBatches,
    PictureBatches,
    image_of,
)
from anomedge.pipelines.decision import (
    SmallSampleWarning,
    ThresholdSample,
    place_threshold,
)
from anomedge.pipelines.features import DefaultLayersWarning
from anomedge.pipelines.model import Card, Model, tool_versions
from anomedge.pipelines.rounding import LARGEST_ROUNDING_EFFECT, rounding_effect
from anomedge.pipelines.splitting import Split, split_pictures
from anomedge.resample import Geometry

__all__ = [
    "DefaultLayersWarning",
    "FitOptions",
    "FlatFeaturesWarning",
    "SmallSampleWarning",
    "VaryingSizesWarning",
    "fit",
]

_PICTURES_ROUNDED = 2


class VaryingSizesWarning(UserWarning):
    """The pictures have several sizes; a bundle takes one, unless it is exported with `--frame any`."""


class FlatFeaturesWarning(UserWarning):
    """The features vary so little that rounding errors matter; a proof of an export will probably fail."""


@dataclass(frozen=True)
class FitOptions:
    """Options of a fit that all detectors share.

    Args:
        geometry: how pictures become images.
        held_back: folder of normal pictures for the threshold; None: a share `holdout` of the fitting folder.
        holdout: that share, in (0, 1).
        labelled: folder with `good` and other folders, for the F1-optimal threshold instead.
        rate: false-alarm rate aimed at on held-back normal pictures.
        seed: seed of all random choices.
        batch: images per batch.
        detector: the detector's own options, see its `options_class`.
        normal: label of normal pictures in the folders, where it is not a known one.
        levels: levels of pictures with more than 8 bits per channel; None for pictures of 8 bits.
    """

    geometry: Geometry
    held_back: Path | None = None
    holdout: float = 0.2
    labelled: Path | None = None
    rate: float = 0.01
    seed: int = 0
    batch: int = 8
    detector: Mapping[str, Any] = field(default_factory=dict)
    normal: str | None = None
    levels: Levels | None = None


def fit(
    detector: str,
    folder: Path,
    options: FitOptions,
    chosen: Callable[[Split], None] | None = None,
) -> Model:
    """Fit a detector to the normal pictures of a folder; `chosen`, if given, is told the pictures before the fit.

    The same seed gives the same bytes in any directory and process, on one machine with one number of threads: sums of
    floating-point numbers depend on the number of threads.

    Raises:
        InputError: too few pictures, unreadable ones, or options that do not suit each other.
        ModelError: backbone, layers or weights cannot be used.
    """
    kind = pipelines.get(detector)
    own = kind.options_class.checked(**options.detector)
    split = split_pictures(
        folder,
        held_back=options.held_back,
        labelled=options.labelled,
        holdout=options.holdout,
        rate=options.rate,
        seed=options.seed,
        normal=options.normal,
        levels=options.levels,
    )
    fitted, sample, _ = split
    if chosen is not None:
        chosen(split)
    _warn_if_sizes_vary([*fitted, *sample.normal, *sample.anomalous], options)
    data = _data(detector, fitted, sample, options)
    pipeline = kind.fit(data, own).eval()
    decision = place_threshold(
        pipeline, sample, options.geometry, options.batch
    )
    rounded = fitted[:_PICTURES_ROUNDED]
    _warn_if_flat(pipeline, rounded, options.geometry, decision.scale)
    card = _card(fitted, own, options)
    return Model(
        pipeline, options.geometry, decision, card, levels=options.levels
    )


def _data(
    detector: str,
    fitted: Sequence[Picture],
    sample: ThresholdSample,
    options: FitOptions,
) -> FitData:
    def batches(
        pictures: Sequence[Picture], description: str
    ) -> PictureBatches:
        return PictureBatches(
            pictures, options.geometry, options.batch, description
        )

    labelled = LabelledBatches(
        batches(sample.normal, "reading normal pictures"),
        batches(sample.anomalous, "reading anomalous pictures"),
    )
    return FitData(
        normal=batches(fitted, f"fitting {detector}"),
        size=options.geometry.image,
        seed=options.seed,
        labelled=labelled if sample.anomalous else (),
    )


def _warn_if_sizes_vary(
    pictures: Sequence[Picture], options: FitOptions
) -> None:
    sizes = sizes_of(pictures)
    if not sizes.vary:
        return
    height, width = options.geometry.size
    distorted = ""
    if sizes.distortion:
        distorted = f" ({sizes.distortion}, so stretching changes shapes)"
    warnings.warn(
        f"got pictures of {sizes}; all are stretched to {height}x{width}{distorted}: export with --frame any, or the bundle "
        f"takes one size",
        VaryingSizesWarning,
        stacklevel=3,
    )


def _warn_if_flat(
    pipeline: Pipeline[Any, Any],
    pictures: Sequence[Picture],
    geometry: Geometry,
    scale: float,
) -> None:
    images = torch.cat([image_of(picture, geometry) for picture in pictures])
    effect = rounding_effect(pipeline, images, scale)
    if effect > LARGEST_ROUNDING_EFFECT:
        warnings.warn(
            f"the features barely vary between pictures: float32 rounding moves maps by {effect:.1e} of the scale of "
            f"scores ({scale:.3g}); expected at most {LARGEST_ROUNDING_EFFECT:.0e}, or an export cannot be "
            f"proven: give other --layers, --weights or --backbone",
            FlatFeaturesWarning,
            stacklevel=3,
        )


def _card(fitted: Sequence[Picture], own: Options, options: FitOptions) -> Card:
    return Card(
        seed=options.seed,
        fitted=tuple(str(picture.digest) for picture in fitted),
        weights=own.weights_name(),
        tools=tool_versions(),
        licence={
            "weights": own.weights_licence(),
            "detector": "belongs to whoever owns the pictures it was fitted to",
        },
    )
