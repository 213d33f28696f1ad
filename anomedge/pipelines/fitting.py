"""Fit a detector to a folder of normal pictures: split them, fit, and place the threshold."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from anomedge import pipelines
from anomedge.errors import InputError
from anomedge.images import Picture
from anomedge.pipelines.base import Options, Pipeline
from anomedge.pipelines.crossfit import (
    Scorer,
    fit_and_score,
    score_held_back,
)
from anomedge.pipelines.data import (
    FitData,
    LabelledBatches,
    PictureBatches,
    image_of,
)
from anomedge.pipelines.decision import (
    InsensitiveWarning,
    OutlierWarning,
    Rule,
    SmallSampleWarning,
    ThresholdSample,
    place_threshold,
)
from anomedge.pipelines.features import DefaultLayersWarning
from anomedge.pipelines.model import Card, Model, tool_versions
from anomedge.pipelines.rounding import LARGEST_ROUNDING_EFFECT, rounding_effect
from anomedge.pipelines.splitting import split_pictures
from anomedge.resample import Geometry

__all__ = [
    "DefaultLayersWarning",
    "FitOptions",
    "FlatFeaturesWarning",
    "InsensitiveWarning",
    "OutlierWarning",
    "Rule",
    "SmallSampleWarning",
    "fit",
]

_PICTURES_ROUNDED = 2
_HELD_BACK = 0.2


class FlatFeaturesWarning(UserWarning):
    """The features vary so little that rounding errors matter; a proof of an export will probably fail."""


@dataclass(frozen=True)
class FitOptions:
    """Options of a fit that all detectors share.

    Args:
        geometry: how pictures become images.
        held_back: folder of normal pictures for the threshold; None: pictures of the fitting folder.
        holdout: share of the fitting folder held back, in (0, 1); None: all are fitted to, and scored in folds.
        folds: number of folds; None: the detector's own number. 0 holds back a fifth, as for trained detectors.
        labelled: folder with `good` and other folders; their labels place the threshold.
        rule: how the threshold is placed.
        seed: seed of all random choices.
        batch: images per batch.
        detector: the detector's own options, see its `options_class`.
    """

    geometry: Geometry
    held_back: Path | None = None
    holdout: float | None = None
    folds: int | None = None
    labelled: Path | None = None
    rule: Rule = field(default_factory=Rule)
    seed: int = 0
    batch: int = 8
    detector: Mapping[str, Any] = field(default_factory=dict)


def fit(detector: str, folder: Path, options: FitOptions) -> Model:
    """Fit a detector to the normal pictures of a folder.

    The same seed gives the same bytes in any directory and process, on one machine with one number of threads: sums of
    floating-point numbers depend on the number of threads.

    Raises:
        InputError: too few pictures, unreadable ones, or options that do not suit each other.
        ModelError: backbone, layers or weights cannot be used.
    """
    kind = pipelines.get(detector)
    own = kind.options_class.checked(**options.detector)
    fitted, sample = _split(kind, folder, options)
    data = _data(detector, fitted, sample, options)
    scorer = Scorer(options.geometry, options.batch, options.seed)
    if sample.folds:
        pipeline, scored = fit_and_score(
            kind, data, own, fitted, sample.folds, scorer
        )
    else:
        pipeline = kind.fit(data, own).eval()
        scored = score_held_back(
            pipeline, sample.normal, sample.anomalous, scorer
        )
    decision = place_threshold(scored, sample, options.rule)
    rounded = fitted[:_PICTURES_ROUNDED]
    _warn_if_flat(pipeline, rounded, options.geometry, decision.scale)
    card = _card(fitted, own, options)
    return Model(pipeline, options.geometry, decision, card)


def _split(
    kind: type[Pipeline[Any, Any]], folder: Path, options: FitOptions
) -> tuple[list[Picture], ThresholdSample]:
    """Check the options of the threshold, then split the pictures."""
    options.rule.check(labelled=options.labelled is not None)
    folds, holdout = options.folds, options.holdout
    if folds is not None and holdout is not None:
        raise InputError(
            f"got {folds} folds and a holdout of {holdout}; expected one of them"
        )
    if folds is not None and (folds < 0 or folds == 1):
        raise InputError(
            f"got {folds} folds; expected 0, or 2 and more, such as 5"
        )
    used = kind.default_folds if folds is None else folds
    if not used and holdout is None:
        holdout = _HELD_BACK
    return split_pictures(
        folder,
        held_back=options.held_back,
        labelled=options.labelled,
        holdout=holdout,
        folds=used,
        seed=options.seed,
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
