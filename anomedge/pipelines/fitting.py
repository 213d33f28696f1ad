"""From folders of pictures to a model: split, fit in a stream, score what was held back, place the threshold."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from anomedge import pipelines
from anomedge.components import FeatureExtractor
from anomedge.components.features import (
    PACKAGED_WEIGHTS,
    depth_layers,
    layers_at_strides,
)
from anomedge.errors import InputError
from anomedge.files import sha256_of_bytes
from anomedge.images import Picture, read_folder, read_normal
from anomedge.names import storable
from anomedge.pipelines._base import Pipeline
from anomedge.pipelines.model import Card, Model, tool_versions
from anomedge.pipelines.preprocessing import to_images
from anomedge.pipelines.rounding import LARGEST_ROUNDING_EFFECT, rounding_effect
from anomedge.progress import track
from anomedge.resample import Geometry
from anomedge.threshold import (
    Cut,
    Decision,
    Origin,
    Scores,
    by_f1,
    by_false_alarm_rate,
    spread,
)

__all__ = [
    "DefaultLayersWarning",
    "FitOptions",
    "FlatFeaturesWarning",
    "SmallSampleWarning",
    "fit",
]


class DefaultLayersWarning(UserWarning):
    """The backbone has no layers at the detector's strides, so other layers are used."""


_PICTURES_ROUNDED = 2


class FlatFeaturesWarning(UserWarning):
    """The features vary so little that rounding errors matter; a proof of an export will probably fail."""


class SmallSampleWarning(UserWarning):
    """The sample is too small for the false-alarm rate, so the threshold was extrapolated."""


@dataclass(frozen=True)
class FitOptions:
    """All that a fit is asked for, besides the detector and the pictures.

    Args:
        geometry: how pictures become images.
        backbone: a timm architecture or a module; the detector's own default when None.
        layers: names of the layers; None: by stride, or spread over the depth of a backbone with a single stride.
        weights: see `FeatureExtractor`; None loads ImageNet weights over the network, "random" none at all.
        held_back: normal pictures for the threshold; a share `holdout` of the fitting folder when None.
        labelled: pictures in `good` and other folders, for the F1-optimal threshold instead.
        rate: false-alarm rate aimed at on held-back normal pictures.
        detector: options of the detector's own `fit`.
    """

    geometry: Geometry
    backbone: str | nn.Module | None = None
    layers: str | Sequence[str] | None = None
    weights: str | Path | None = None
    held_back: Path | None = None
    holdout: float = 0.2
    labelled: Path | None = None
    rate: float = 0.01
    seed: int = 0
    batch: int = 8
    detector: Mapping[str, Any] = field(default_factory=dict)


def fit(detector: str, folder: Path, options: FitOptions) -> Model:
    """Fit a detector to the normal pictures of a folder.

    The same seed gives the same bytes in any directory and process, on one machine with one number of threads: sums of
    floating-point numbers depend on how many threads share them.

    Raises:
        InputError: too few pictures, unreadable ones, or options that do not go together.
        ModelError: backbone, layers or weights cannot be used.
    """
    kind = pipelines.get(detector)
    fitted, held_back, source = _split(folder, options)
    _refuse_overlap(fitted, held_back)
    extractor = _extractor(kind, options)
    pipeline = kind.fit(
        _images(fitted, options, f"fitting {detector}"),
        extractor,
        size=options.geometry.image,
        seed=options.seed,
        **options.detector,
    )
    decision = _decide(pipeline, held_back, source, options)
    _warn_if_flat(pipeline, fitted[:_PICTURES_ROUNDED], decision, options)
    card = Card(
        seed=options.seed,
        fitted=tuple(str(picture.digest) for picture in fitted),
        weights=_weights_name(options),
        tools=tool_versions(),
        licence=_licence(options),
    )
    return Model(pipeline, options.geometry, decision, card)


def _warn_if_flat(
    pipeline: Pipeline,
    pictures: Sequence[Picture],
    decision: Decision,
    options: FitOptions,
) -> None:
    images = torch.cat(
        [
            to_images(
                torch.from_numpy(p.frame().copy())[None], options.geometry
            )
            for p in pictures
        ]
    )
    effect = rounding_effect(pipeline, images, decision.scale)
    if effect > LARGEST_ROUNDING_EFFECT:
        warnings.warn(
            f"the features barely vary between pictures: float32 rounding moves maps by {effect:.1e} of the scale of "
            f"scores ({decision.scale:.3g}); expected at most {LARGEST_ROUNDING_EFFECT:.0e}, or an export cannot be "
            f"proven: give other --layers, --weights or --backbone",
            FlatFeaturesWarning,
            stacklevel=3,
        )


def _refuse_overlap(
    fitted: Sequence[Picture], held_back: Sequence[Picture]
) -> None:
    """A picture that was fitted on scores too low to place a threshold by."""
    known = {picture.digest for picture in fitted}
    if twice := [
        picture.name for picture in held_back if picture.digest in known
    ]:
        raise InputError(
            f"got {len(twice)} held-back pictures that are fitted on as well, {twice[0]} first; expected others: "
            f"keep the two folders apart, and every picture once"
        )


def _split(
    folder: Path, options: FitOptions
) -> tuple[list[Picture], list[Picture], str]:
    pictures = read_normal(folder)
    if options.held_back is not None:
        held = read_normal(options.held_back)
        fitted, source = pictures, "pictures given for it"
        if options.labelled is not None:
            raise InputError(
                "got held-back and labelled pictures; expected one of them to place the threshold by"
            )
    elif options.labelled is not None:
        _labelled(options.labelled)  # refuse a bad folder before the fit
        fitted, held, source = pictures, [], "labelled pictures"
    else:
        if not 0 < options.holdout < 1:
            raise InputError(
                f"got a holdout of {options.holdout}; expected a share between 0 and 1, such as 0.2"
            )
        order = torch.randperm(
            len(pictures), generator=torch.Generator().manual_seed(options.seed)
        ).tolist()
        count = max(2, round(len(pictures) * options.holdout))
        held = [pictures[i] for i in sorted(order[:count])]
        fitted, source = (
            [pictures[i] for i in sorted(order[count:])],
            f"{options.holdout:g} of the fitting folder",
        )
    if options.labelled is None and len(held) < 2:
        raise InputError(
            f"got {len(held)} held-back picture; expected at least 2 to place a threshold: give more"
        )
    if len(fitted) < 2:
        raise InputError(
            f"{folder}: got {len(fitted)} pictures to fit to ({len(held)} held back); expected at least 2: give more"
        )
    return fitted, held, source


def _labelled(folder: Path) -> tuple[list[Picture], list[Picture]]:
    """Read the normal and the anomalous pictures of a labelled folder; require at least one of each."""
    labelled = read_folder(folder)
    good = [picture for picture in labelled if picture.anomalous is False]
    bad = [picture for picture in labelled if picture.anomalous]
    if not good or not bad:
        raise InputError(
            f"{folder}: got {len(good)} normal, {len(bad)} anomalous; expected `good` and others"
        )
    return good, bad


def _extractor(kind: type[Pipeline], options: FitOptions) -> FeatureExtractor:
    backbone = options.backbone or kind.default_backbone
    if options.layers is None and not isinstance(backbone, str):
        raise InputError(
            "got a module as backbone without layers; expected their paths: name them with layers=[...]"
        )
    if not isinstance(backbone, str) and options.weights is not None:
        raise InputError(
            "got a module as backbone and weights; expected one of them: load weights into the module"
        )
    layers = options.layers or _default_layers(kind, str(backbone))
    random = options.weights == "random"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(
            options.seed
        )  # so that random weights, too, are the same for a seed
        weights = None if random else options.weights
        extractor = FeatureExtractor(
            backbone,
            layers,
            pre_trained=not random,
            weights=weights,
            size=options.geometry.image,
        )
    if extractor.strides != sorted(extractor.strides):
        raise InputError(
            f"got layers {extractor.layers} of strides {extractor.strides}; expected the finest first"
        )
    return extractor


def _default_layers(kind: type[Pipeline], backbone: str) -> list[str]:
    """Choose the layers at the detector's strides, or spread over the depth of a single-stride backbone such as a ViT."""
    layers = depth_layers(backbone, len(kind.default_strides))
    if layers is None:
        return layers_at_strides(backbone, kind.default_strides)
    strides = ", ".join(map(str, kind.default_strides))
    warnings.warn(
        f"{backbone} has one stride in all layers, not {kind.name}'s {strides}: using layers {', '.join(layers)}, "
        f"spread over its depth; choose others with --layers",
        DefaultLayersWarning,
        stacklevel=4,
    )
    return layers


def _images(
    pictures: Sequence[Picture], options: FitOptions, description: str
) -> Iterator[Tensor]:
    """Batches of images; pictures may differ in size, images do not."""
    batch: list[Tensor] = []
    for picture in track(pictures, description, total=len(pictures)):
        batch.append(
            to_images(
                torch.from_numpy(picture.frame().copy())[None], options.geometry
            )
        )
        if len(batch) == options.batch:
            yield torch.cat(batch)
            batch = []
    if batch:
        yield torch.cat(batch)


def _scores(
    pipeline: Pipeline, pictures: Sequence[Picture], options: FitOptions
) -> tuple[Scores, Scores]:
    """Scores and largest map values of pictures, one by one in batches."""
    scores: list[npt.NDArray[np.floating]] = []
    peaks: list[npt.NDArray[np.floating]] = []
    with torch.no_grad():
        for images in _images(pictures, options, "placing the threshold"):
            score, anomaly_map = pipeline(images)
            scores.append(score.numpy())
            peaks.append(anomaly_map.flatten(1).amax(dim=1).numpy())
    return np.concatenate(scores), np.concatenate(peaks)


def _decide(
    pipeline: Pipeline,
    held_back: Sequence[Picture],
    source: str,
    options: FitOptions,
) -> Decision:
    if options.labelled is None:
        scores, peaks = _scores(pipeline, held_back, options)
        _refuse_blind(scores)
        cut, pixel_cut = (
            by_false_alarm_rate(values, options.rate)
            for values in (scores, peaks)
        )
        _warn_if_small(cut, len(held_back), options.rate)
        return _decision(
            cut,
            pixel_cut,
            scores,
            scores,
            _origin(cut, held_back, [], source, options),
        )
    good, bad = _labelled(options.labelled)
    (normal, normal_peaks), (anomalous, anomalous_peaks) = (
        _scores(pipeline, p, options) for p in (good, bad)
    )
    if not anomalous.any():
        _refuse_blind(normal)
    cut, pixel_cut = (
        by_f1(normal, anomalous),
        by_f1(normal_peaks, anomalous_peaks),
    )
    every = np.concatenate([normal, anomalous])
    return _decision(
        cut,
        pixel_cut,
        normal,
        every,
        _origin(cut, good, bad, "labelled pictures", options),
    )


def _refuse_blind(normal: Scores) -> None:
    """Features that are the same in every picture, as of a dead channel, have no spread to measure anything by."""
    if not normal.any():
        raise InputError(
            f"got score 0 for all {normal.size} normal pictures; expected them to differ, but the features fitted on are the "
            f"same in each: give other --layers or --weights, or more --features"
        )


def _decision(
    cut: Cut, pixel_cut: Cut, normal: Scores, every: Scores, origin: Origin
) -> Decision:
    return Decision(
        threshold=cut.value,
        pixel_threshold=pixel_cut.value,
        minimum=float(every.min()),
        maximum=float(every.max()),
        scale=spread(normal),
        origin=origin,
    )


def _origin(
    cut: Cut,
    good: Sequence[Picture],
    bad: Sequence[Picture],
    source: str,
    options: FitOptions,
) -> Origin:
    digests = "".join(str(picture.digest) for picture in [*good, *bad])
    return Origin(
        rule="f1" if bad else "false-alarm-rate",
        rate=None if bad else options.rate,
        source=source,
        normal=len(good),
        anomalous=len(bad),
        margin=cut.margin,
        extrapolated=cut.extrapolated,
        pictures=sha256_of_bytes(digests.encode()),
    )


def _warn_if_small(cut: Cut, count: int, rate: float) -> None:
    if cut.extrapolated and count * rate >= 1:
        warnings.warn(
            f"got {count} held-back scores too many of which are equal for a false-alarm rate of {rate:g}; the threshold "
            f"lies {cut.margin:.4g} above the largest: give other pictures with --held-back",
            SmallSampleWarning,
            stacklevel=4,
        )
    elif cut.extrapolated:
        warnings.warn(
            f"got {count} held-back normal pictures; expected at least {int(np.ceil(1 / rate))} for a false-alarm rate "
            f"of {rate:g}: the threshold lies {cut.margin:.4g} above the largest score, where about 1 normal picture in "
            f"{count + 1} may still pass it; give more with --held-back",
            SmallSampleWarning,
            stacklevel=4,
        )


def _weights_name(options: FitOptions) -> str:
    """What to call the weights without saying where they lay."""
    if isinstance(options.backbone, nn.Module):
        return "module"
    if options.weights is None:
        return "imagenet"
    name = str(options.weights)
    return (
        name
        if name == "random" or name in PACKAGED_WEIGHTS
        else storable(Path(name).name)
    )


def _licence(options: FitOptions) -> dict[str, str]:
    entry = PACKAGED_WEIGHTS.get(str(options.weights))
    weights = entry["licence"] if entry else "as their publisher says"
    return {
        "weights": str(weights),
        "detector": "belongs to whoever owns the pictures it was fitted to",
    }
