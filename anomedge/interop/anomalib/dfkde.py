r"""DFKDE of anomalib: components of the features, and the kernels on the fitted points.

anomalib's score is a logistic function of the density p,

.. math:: s = \frac{1}{1 + e^{(\log p - 12) / 20}}, \qquad -\log p = 20 \log \frac{s}{1 - s} - 12

Ours is :math:`-\log p`, so thresholds and extremes of a file are mapped by the second formula; the same pictures are
above them. In float32 anomalib's density of pictures far from the data is 0 and s is 1. A threshold between the
largest s of a positive density and 1 therefore becomes the :math:`-\log p` at which the density vanishes.
"""

from __future__ import annotations

import math

import torch

from anomedge.errors import ModelError
from anomedge.interop.anomalib.backbone import feature_extractor
from anomedge.interop.anomalib.base import ImportedDetector, tensors_fit
from anomedge.interop.anomalib.foreign import (
    ForeignModel,
    StoredThresholds,
    Taken,
)
from anomedge.interop.anomalib.plain import shown
from anomedge.interop.anomalib.tensors import (
    loaded,
    said_precision,
    tensor_of,
)
from anomedge.interop.anomalib.versions import V1
from anomedge.interop.raw_thresholds import with_sensitivity
from anomedge.pipelines.dfkde import Dfkde, DfkdeConfig

__all__ = ["ImportedDfkde"]

Size = tuple[int, int]

_MEAN = "classifier.pca_model.mean"
_VECTORS = "classifier.pca_model.singular_vectors"
_LENGTH = "classifier.max_length"
_BANDWIDTH = "classifier.kde_model.bw_transform"
_POINTS = "classifier.kde_model.dataset"
_NORM = "classifier.kde_model.norm"
_PARTS = ("classifier.", "feature_extractor.")
_SLOPE, _MIDDLE = 20.0, 12.0
_LEAST_LOGARITHM = 150 * math.log(2)
"""-log of half of the smallest float32 above 0: below it a number is rounded to 0."""


class ImportedDfkde(ImportedDetector):
    """DFKDE, density of deep features, as `anomedge.pipelines.dfkde.Dfkde`."""

    name = "dfkde"

    @classmethod
    def matches(cls, foreign: ForeignModel) -> bool:
        """Return whether the file has components, kernels, and nothing of another model."""
        return tensors_fit(foreign, (_MEAN, _VECTORS, _POINTS), _PARTS)

    @classmethod
    def build(cls, foreign: ForeignModel, size: Size, taken: Taken) -> Dfkde:
        """Return the fitted DFKDE; see `ImportedDetector.build`."""
        scaling = _scaling(foreign)
        d, k, n = _sizes(foreign)
        _refuse_layers(foreign)
        extractor = feature_extractor(foreign, size, taken)
        if d != sum(extractor.channels):
            raise ModelError(
                f"got components of {d} features; expected {sum(extractor.channels)}, the channels of "
                f"{', '.join(extractor.layers)}"
            )
        config = DfkdeConfig.of(
            extractor, size, n_components=k, n_points=n, scaling=scaling
        )
        pipeline = Dfkde(config, extractor).eval()
        pipeline.center = loaded(foreign.tensors[_MEAN], _MEAN)
        pipeline.components = loaded(foreign.tensors[_VECTORS], _VECTORS)
        if scaling == "scale":
            pipeline.components = pipeline.components / _length(foreign)
        pipeline.kde.load_state_dict(
            {
                "bw_transform": loaded(foreign.tensors[_BANDWIDTH], _BANDWIDTH),
                "dataset": loaded(foreign.tensors[_POINTS], _POINTS),
                "norm": torch.tensor(_norm(foreign)),
            }
        )
        taken.add("feature scaling", scaling, "file")
        taken.add("density", f"{n:,} points of {k} components", "file")
        dtypes = [foreign.tensors[name].dtype for name in (_VECTORS, _POINTS)]
        said_precision("density", dtypes, taken)
        return pipeline

    @classmethod
    def thresholds(
        cls, foreign: ForeignModel, taken: Taken
    ) -> StoredThresholds:
        """Return the file's thresholds in negative logarithms of the density; see `ImportedDetector.thresholds`."""
        stored = with_sensitivity(foreign.thresholds)
        least = _vanishing(foreign)
        threshold = stored.image_threshold
        if threshold is not None:
            inclusive = foreign.version == V1
            threshold = _raw_threshold(threshold, least, inclusive)
            taken.add(
                "scores",
                f"negative logarithms of the density; the file's threshold {stored.image_threshold:.9g} of anomalib's "
                f"logistic function of it is {threshold:.9g}",
                "computed",
            )
        return StoredThresholds(
            image_threshold=threshold,
            image_min=_raw(stored.image_min, least),
            image_max=_raw(stored.image_max, least),
            image_sensitivity=stored.image_sensitivity,
        )


def _raw_threshold(value: float, least: float, inclusive: bool) -> float:
    """Return the threshold of -log p; infinite if every picture of anomalib is on one side."""
    if value > 1 or (value == 1 and not inclusive):
        return math.inf
    raw = _raw(value, least)
    return -math.inf if raw is None else raw


def _raw(value: float | None, least: float) -> float | None:
    """Return -log p of a score of anomalib; None of none, or of one that its scores do not reach."""
    if value is None or value <= 0:
        return None
    if value >= 1:
        return least
    logit = math.log(value) - math.log1p(-value)
    return min(_SLOPE * logit - _MIDDLE, least)


def _vanishing(foreign: ForeignModel) -> float:
    """Return the -log p from which on anomalib's density is 0 in float32.

    A kernel vanishes at exp(-d^2 / 2) = 0, or, with a norm below 1, where its product with the norm does. The density
    is the norm times the mean of N kernels, of which one is left there.
    """
    points = tensor_of(foreign, _POINTS, 2, "fitted points").shape[0]
    log_norm = math.log(_norm(foreign))
    return _LEAST_LOGARITHM + math.log(points) - max(log_norm, 0.0)


def _scaling(foreign: ForeignModel) -> str:
    value = foreign.arguments.get("feature_scaling_method")
    if value not in ("scale", "norm"):
        raise ModelError(
            f"got feature_scaling_method {shown(value)} in the hyper-parameters; expected scale or norm"
        )
    return str(value)


def _refuse_layers(foreign: ForeignModel) -> None:
    """Refuse several layers, which anomalib concatenates as if they were several pictures."""
    layers = foreign.arguments.get("layers")
    if isinstance(layers, tuple | list) and len(layers) > 1:
        raise ModelError(
            f"got the layers {shown(layers)} in the hyper-parameters; expected one: anomalib scores each layer as a picture "
            f"of its own"
        )


def _sizes(foreign: ForeignModel) -> tuple[int, int, int]:
    """Return the numbers of features, components and points, by the shapes.

    Raises:
        ModelError: shapes that do not fit each other.
    """
    mean = tensor_of(foreign, _MEAN, 1, "mean of the features").shape
    vectors = tensor_of(foreign, _VECTORS, 2, "components").shape
    bandwidth = tensor_of(foreign, _BANDWIDTH, 2, "bandwidth").shape
    points = tensor_of(foreign, _POINTS, 2, "fitted points").shape
    k = vectors[1]
    if vectors[0] != mean[0] or bandwidth != (k, k) or points[1] != k:
        raise ModelError(
            f"got {_MEAN} {tuple(mean)}, {_VECTORS} {tuple(vectors)}, {_BANDWIDTH} {tuple(bandwidth)} and {_POINTS} "
            f"{tuple(points)}; expected (d,), (d, k), (k, k) and (N, k)"
        )
    return mean[0], k, points[0]


def _length(foreign: ForeignModel) -> float:
    """Return the largest length of a fitted point.

    Raises:
        ModelError: not a number above 0.
    """
    tensor = tensor_of(foreign, _LENGTH, 0, "largest length of a point")
    length = float(loaded(tensor, _LENGTH))
    if length <= 0:
        raise ModelError(
            f"got the largest length {length:g} of the fitted points; expected one above 0: fit the model again"
        )
    return length


def _norm(foreign: ForeignModel) -> float:
    """Return the factor of anomalib's kernels.

    Raises:
        ModelError: 0 or infinite, so that anomalib's scores are all alike or not numbers.
    """
    tensor = tensor_of(foreign, _NORM, 0, "factor of the kernels")
    norm = float(loaded(tensor, _NORM))
    if norm <= 0:
        raise ModelError(
            f"got the factor {norm:g} of the kernels, with which anomalib's scores are all 1; expected one above 0: "
            f"fit with fewer n_pca_components"
        )
    return norm
