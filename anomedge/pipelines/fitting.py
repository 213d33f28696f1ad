"""Fit a detector to a folder of normal pictures: split them, fit, and place the threshold."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anomedge import pipelines
from anomedge.errors import InputError
from anomedge.images import Picture, RegionOfInterest, place_region
from anomedge.images.sizes import sizes_of
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
from anomedge.pipelines.model import (
    Card,
    Model,
    licences_of,
    tool_versions,
)
from anomedge.pipelines.rounding import LARGEST_ROUNDING_EFFECT, rounding_effect
from anomedge.pipelines.splitting import Split, split_pictures
from anomedge.pipelines.tiles import TileBatches, Tiles
from anomedge.pipelines.training import TrainedPipeline
from anomedge.resample import Geometry
from anomedge.resample.levels import Levels
from anomedge.threshold import Decision

__all__ = [
    "DefaultLayersWarning",
    "FitOptions",
    "FlatFeaturesWarning",
    "InsensitiveWarning",
    "OutlierWarning",
    "Rule",
    "SmallSampleWarning",
    "VaryingSizesWarning",
    "fit",
]

_PICTURES_ROUNDED = 2
_TILES_ROUNDED = 8


class VaryingSizesWarning(UserWarning):
    """The pictures have several sizes; a bundle takes one, unless it is exported with `--frame any`."""


class FlatFeaturesWarning(UserWarning):
    """The features vary so little that rounding errors matter; a proof of an export will probably fail."""


@dataclass(frozen=True)
class FitOptions:
    """Options of a fit that all detectors share.

    Args:
        geometry: how pictures become images.
        held_back: folder of normal pictures for the threshold; None: pictures of the fitting folder.
        holdout: share of the fitting folder held back, in (0, 1); None: by `folds`.
        folds: number of folds; None: the detector's own number. 0 holds pictures back, as for trained detectors: see `held_back_of`.
        labelled: folder with `good` and other folders; their labels place the threshold.
        rule: how the threshold is placed.
        seed: seed of all random choices.
        batch: images per batch.
        roi: region of interest; None: the whole picture.
        detector: the detector's own options, see its `options_class`.
        normal: label of normal pictures in the folders, where it is not a known one.
        levels: levels of pictures with more than 8 bits per channel; None for pictures of 8 bits.
        state: file in which a trained detector stores its training after each epoch; None: nowhere.
        restart: replace a stored training when the first epoch of this one is finished; otherwise it is refused, unless it is
            resumed.
    """

    geometry: Geometry
    held_back: Path | None = None
    holdout: float | None = None
    folds: int | None = None
    labelled: Path | None = None
    rule: Rule = field(default_factory=Rule)
    seed: int = 0
    batch: int = 8
    roi: RegionOfInterest | None = None
    detector: Mapping[str, Any] = field(default_factory=dict)
    normal: str | None = None
    levels: Levels | None = None
    state: Path | None = None
    restart: bool = False


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
    shared = options.geometry.shared
    if shared is not None:
        kind.check_overlap(own, shared)
    split = _split(kind, folder, options, own)
    fitted, sample = split.fitted, split.sample
    if not sample.anomalous:
        options.rule.require(len(sample.normal))
    if chosen is not None:
        chosen(split)
    _warn_if_sizes_vary([*fitted, *sample.normal, *sample.anomalous], options)
    options, inside = _in_region(kind, fitted, sample, options)
    data = replace(
        _data(detector, fitted, sample, options),
        inside=inside,
        digests=_digests([*fitted, *sample.normal, *sample.anomalous]),
        state=options.state,
        restart=options.restart,
    )
    scorer = Scorer(options.geometry, options.batch, options.seed, inside)
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
    _warn_if_flat(pipeline, rounded, options.geometry, decision)
    card = _card(fitted, own, options, pipeline)
    return Model(
        pipeline, options.geometry, decision, card, levels=options.levels
    )


def _digests(pictures: Sequence[Picture]) -> frozenset[str]:
    return frozenset(p.digest for p in pictures if p.digest)


def _in_region(
    kind: type[Pipeline[Any, Any]],
    fitted: Sequence[Picture],
    sample: ThresholdSample,
    options: FitOptions,
) -> tuple[FitOptions, Tensor | None]:
    """Return the options with the region in their geometry, and the mask (H, W) of a region that is no rectangle."""
    if options.roi is None:
        return options, None
    pictures = [*fitted, *sample.normal, *sample.anomalous]
    geometry, inside = place_region(options.geometry, options.roi, pictures)
    if inside is not None and geometry.tiling is not None:
        raise InputError(
            "got a mask and tiles; expected a rectangle for tiles: give --roi x,y,w,h, or leave out --tile"
        )
    if inside is not None and not kind.takes_mask:
        raise InputError(
            f"got a mask for {kind.name}, which takes none; expected a rectangle: give --roi x,y,w,h"
        )
    options = replace(options, geometry=geometry)
    return options, None if inside is None else torch.from_numpy(inside)


def _split(
    kind: type[Pipeline[Any, Any]],
    folder: Path,
    options: FitOptions,
    own: Options,
) -> Split:
    """Check the options of the threshold, then split the pictures."""
    options.rule.check(labelled=options.labelled is not None)
    folds, holdout = options.folds, options.holdout
    given = options.held_back or options.labelled
    if given is not None and not (folds is None and holdout is None):
        raise InputError(
            f"got folds or a holdout beside {given}, whose pictures place the threshold; expected one of them"
        )
    if folds is not None and holdout is not None:
        raise InputError(
            f"got {folds} folds and a holdout of {holdout}; expected one of them"
        )
    if folds is not None and (folds < 0 or folds == 1):
        raise InputError(
            f"got {folds} folds; expected 0, or 2 and more, such as 5"
        )
    tiled = options.geometry.tiling is not None
    if folds and tiled:
        raise InputError(
            f"got {folds} folds with tiles, which are fitted to image by image; expected --holdout or --held-back"
        )
    default = 0 if tiled else kind.folds_of(own)
    used = default if folds is None else folds
    return split_pictures(
        folder,
        held_back=options.held_back,
        labelled=options.labelled,
        holdout=holdout,
        folds=used,
        seed=options.seed,
        normal=options.normal,
        levels=options.levels,
    )


def _data(
    detector: str,
    fitted: Sequence[Picture],
    sample: ThresholdSample,
    options: FitOptions,
) -> FitData:
    tiles = Tiles.of(options.geometry)

    def batches(
        pictures: Sequence[Picture], description: str
    ) -> PictureBatches:
        return PictureBatches(
            pictures, options.geometry, options.batch, description
        )

    normal = batches(fitted, f"fitting {detector}")
    if tiles is not None:
        # Labels of pictures are no labels of tiles, so there are none.
        return FitData(
            normal=TileBatches(normal, tiles, options.batch),
            size=options.geometry.detector_input,
            seed=options.seed,
        )
    labelled = LabelledBatches(
        batches(sample.normal, "reading normal pictures"),
        batches(sample.anomalous, "reading anomalous pictures"),
    )
    return FitData(
        normal=normal,
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
    decision: Decision,
) -> None:
    images = torch.cat([image_of(picture, geometry) for picture in pictures])
    if (tiles := Tiles.of(geometry)) is not None:
        images = tiles.cut(images)[:_TILES_ROUNDED]
    effect = rounding_effect(pipeline, images, decision.scale)
    moved = "maps" if decision.has_map else "scores"
    if effect > LARGEST_ROUNDING_EFFECT:
        warnings.warn(
            f"the features barely vary between pictures: float32 rounding moves {moved} by {effect:.1e} of the scale of "
            f"scores ({decision.scale:.3g}); expected at most {LARGEST_ROUNDING_EFFECT:.0e}, or an export cannot be "
            f"proven: give other --layers, --weights or --backbone",
            FlatFeaturesWarning,
            stacklevel=3,
        )


def _card(
    fitted: Sequence[Picture],
    own: Options,
    options: FitOptions,
    pipeline: Pipeline[Any, Any],
) -> Card:
    is_trained = isinstance(pipeline, TrainedPipeline)
    return Card(
        seed=options.seed,
        fitted=tuple(str(picture.digest) for picture in fitted),
        weights=own.weights_name(),
        tools=tool_versions(),
        licence=licences_of(pipeline, own.weights_licence()),
        training=pipeline.record if is_trained else None,
    )
