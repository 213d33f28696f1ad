"""DFM of anomalib: mean and components of the features, and the Gaussian on the components."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from torch import Tensor

from anomedge.errors import ModelError
from anomedge.interop.anomalib.backbone import feature_extractor
from anomedge.interop.anomalib.base import ImportedDetector, tensors_fit
from anomedge.interop.anomalib.foreign import ForeignModel, Taken
from anomedge.interop.anomalib.plain import shown
from anomedge.interop.anomalib.tensors import (
    loaded,
    said_precision,
    tensor_of,
)
from anomedge.pipelines.dfm import Dfm, DfmConfig, remainder

__all__ = ["ImportedDfm"]

Size = tuple[int, int]

_MEAN = "pca_model.mean"
_VECTORS = "pca_model.singular_vectors"
_GAUSSIAN = "gaussian_model.mean_vec"
_DIRECTIONS = "gaussian_model.u_mat"
_DEVIATIONS = "gaussian_model.sigma_mat"
_PARTS = ("pca_model.", "gaussian_model.", "feature_extractor.")


class ImportedDfm(ImportedDetector):
    """DFM, reconstruction error or likelihood of deep features, as `anomedge.pipelines.dfm.Dfm`."""

    name = "dfm"

    @classmethod
    def matches(cls, foreign: ForeignModel) -> bool:
        """Return whether the file has components, a Gaussian, and nothing of another model."""
        return tensors_fit(foreign, (_MEAN, _VECTORS, _GAUSSIAN), _PARTS)

    @classmethod
    def build(cls, foreign: ForeignModel, size: Size, taken: Taken) -> Dfm:
        """Return the fitted DFM; see `ImportedDetector.build`."""
        score_type = _score_type(foreign)
        layer = foreign.arguments.get("layer")
        arguments = {**foreign.arguments, "layers": (layer,)}
        named = replace(foreign, arguments=arguments)
        d, k = _sizes(foreign, score_type)
        extractor = feature_extractor(named, size, taken)
        config = DfmConfig.of(
            extractor,
            size,
            pooling=_pooling(foreign),
            n_components=k,
            score_type=score_type,
        )
        pipeline = Dfm(config, extractor).eval()
        _refuse_other_features(pipeline, d)
        mean = loaded(foreign.tensors[_MEAN], _MEAN)
        vectors = loaded(foreign.tensors[_VECTORS], _VECTORS)
        if score_type == "fre":
            pipeline.fill_residual(mean, vectors)
        else:
            pipeline.fill_gaussian(*_gaussian(foreign, mean, vectors))
        _say_remainder(pipeline, taken)
        taken.add("score type", score_type, "file")
        taken.add("components", f"{k} of {d:,} features", "file")
        dtypes = [foreign.tensors[name].dtype for name in (_MEAN, _VECTORS)]
        said_precision("components", dtypes, taken)
        return pipeline


def _say_remainder(pipeline: Dfm, taken: Taken) -> None:
    """Say that anomalib's average over squares leaves out a border of the pictures."""
    config = pipeline.config
    rows, columns = remainder(pipeline.extractor, config.size, config.pooling)
    if rows or columns:
        taken.add(
            "not inspected",
            f"{rows} rows of features at the lower border and {columns} columns at the right one, as in anomalib",
            "computed",
        )


class _Gaussian(NamedTuple):
    """A Gaussian in the space of the features: centre (d,), directions (d, k), deviations (k,)."""

    center: Tensor
    directions: Tensor
    deviations: Tensor


def _gaussian(
    foreign: ForeignModel, mean: Tensor, vectors: Tensor
) -> _Gaussian:
    """Return the Gaussian of the components, moved to the features.

    anomalib's score is that of y = V^T (x - mu) under a Gaussian with the mean m and the directions U. V is
    orthonormal, so y - m = V^T (x - mu - V m).
    """
    offset, directions, deviations = (
        loaded(foreign.tensors[name], name).double()
        for name in (_GAUSSIAN, _DIRECTIONS, _DEVIATIONS)
    )
    wide = vectors.double()
    return _Gaussian(
        (mean.double() + wide @ offset).float(),
        (wide @ directions).float(),
        deviations.float(),
    )


def _score_type(foreign: ForeignModel) -> str:
    value = foreign.arguments.get("score_type")
    if value not in ("fre", "nll"):
        raise ModelError(
            f"got score_type {shown(value)} in the hyper-parameters; expected fre or nll"
        )
    return str(value)


def _pooling(foreign: ForeignModel) -> Any:
    """Return the side of the squares; 1 for anomalib's values below it, which turn pooling off."""
    value = foreign.arguments.get("pooling_kernel_size")
    if isinstance(value, bool) or not isinstance(value, int):
        raise ModelError(
            f"got pooling_kernel_size {shown(value)} in the hyper-parameters; expected a whole number"
        )
    return max(1, value)


def _sizes(foreign: ForeignModel, score_type: str) -> Size:
    """Return the numbers of features and components, by the shapes.

    Raises:
        ModelError: shapes that do not fit each other.
    """
    mean = tensor_of(foreign, _MEAN, 1, "mean of the features").shape
    vectors = tensor_of(foreign, _VECTORS, 2, "components").shape
    if vectors[0] != mean[0]:
        raise ModelError(
            f"got {_MEAN} {tuple(mean)} and {_VECTORS} {tuple(vectors)}; expected (d,) and (d, k)"
        )
    if score_type == "fre":
        return mean[0], vectors[1]
    offset = tensor_of(foreign, _GAUSSIAN, 1, "mean of the components").shape
    directions = tensor_of(foreign, _DIRECTIONS, 2, "directions").shape
    deviations = tensor_of(foreign, _DEVIATIONS, 1, "deviations").shape
    if offset != directions[:1] or directions != (vectors[1], *deviations):
        raise ModelError(
            f"got {_GAUSSIAN} {tuple(offset)}, {_DIRECTIONS} {tuple(directions)} and {_DEVIATIONS} {tuple(deviations)}; "
            f"expected (k,), (k, r) and (r,) with k = {vectors[1]}"
        )
    return mean[0], deviations[0]


def _refuse_other_features(pipeline: Dfm, d: int) -> None:
    found = len(pipeline.center)
    if found != d:
        height, width = pipeline.config.size
        raise ModelError(
            f"got images of {height}x{width} with {found:,} features; expected {d:,}, those that the file has components "
            f"of: give the --size that the model was fitted with"
        )
