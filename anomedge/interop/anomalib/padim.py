"""PaDiM of anomalib: channels, mean and inverse covariance of each patch."""

from __future__ import annotations

from math import isqrt
from typing import Any

import torch
from torch import Tensor

from anomedge.errors import InputError, ModelError
from anomedge.interop.anomalib.backbone import feature_extractor
from anomedge.interop.anomalib.base import ImportedDetector, tensors_fit
from anomedge.interop.anomalib.blur import SIGMA, refuse_other_blur
from anomedge.interop.anomalib.foreign import ForeignModel, Taken
from anomedge.interop.anomalib.tensors import loaded, tensor_of
from anomedge.pipelines.maps import map_sizes, nearest_of_torch
from anomedge.pipelines.padim import Padim, PadimConfig
from anomedge.resample import nearest

__all__ = ["ImportedPadim"]

Size = tuple[int, int]

_INDEX = "idx"
_MEAN = "gaussian.mean"
_INVERSE = "gaussian.inv_covariance"
_PARTS = (_INDEX, "gaussian.", "feature_extractor.", "anomaly_map_generator.")
_PATCHES_AT_ONCE = 256


class ImportedPadim(ImportedDetector):
    """PaDiM, one Gaussian per patch, as `anomedge.pipelines.padim.Padim`."""

    name = "padim"

    @classmethod
    def matches(cls, foreign: ForeignModel) -> bool:
        """Return whether the file has channels, mean, inverse covariance, and nothing of another model."""
        return tensors_fit(foreign, (_INDEX, _MEAN, _INVERSE), _PARTS)

    @classmethod
    def build(cls, foreign: ForeignModel, size: Size, taken: Taken) -> Padim:
        """Return the fitted PaDiM; see `ImportedDetector.build`."""
        features, patches = _sizes(foreign)
        refuse_other_blur(foreign)
        extractor = feature_extractor(foreign, size, taken)
        levels = map_sizes(extractor, size)
        _refuse_other_patches(levels, size, patches)
        _refuse_other_rounding(levels, size)
        drawn = _drawn(foreign, features, sum(extractor.channels))
        config = PadimConfig.of(
            extractor,
            size,
            sigma=SIGMA,
            channels=tuple(drawn.sort().values.tolist()),
        )
        with torch.device("meta"):
            pipeline = Padim(config, extractor)
        statistics = _statistics(foreign, drawn.argsort())
        try:
            pipeline.gaussian.load_state_dict(statistics, assign=True)
        except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]  # public, though not in its __all__
            raise ModelError(
                f"got {_INVERSE} that is not positive definite at some patch; expected inverse covariances: "
                f"fit the model again"
            ) from error
        taken.add(
            "statistics",
            f"mean and inverse covariance of {features} channels at {patches:,} patches",
            "file",
        )
        return pipeline.eval()


def _sizes(foreign: ForeignModel) -> Size:
    """Return the numbers of features and patches, by the shapes.

    Raises:
        ModelError: shapes that do not fit each other.
    """
    index = tensor_of(foreign, _INDEX, 1, "drawn channels").shape
    mean = tensor_of(foreign, _MEAN, 2, "mean of each patch").shape
    inverse = tensor_of(foreign, _INVERSE, 3, "inverse covariances").shape
    features, patches = index[0], mean[1]
    if mean[0] != features or inverse != (patches, features, features):
        raise ModelError(
            f"got {_INDEX} {tuple(index)}, {_MEAN} {tuple(mean)} and {_INVERSE} {tuple(inverse)}; "
            f"expected (d,), (d, P) and (P, d, d)"
        )
    return features, patches


def _refuse_other_patches(levels: list[Size], size: Size, patches: int) -> None:
    height, width = levels[0]
    if height * width == patches:
        return
    side = isqrt(patches)
    stride = -(-size[0] // height)
    hint = ""
    if side * side == patches:
        hint = f", as images of {side * stride}x{side * stride} have"
    raise InputError(
        f"got images of {size[0]}x{size[1]} with {height * width:,} patches; expected {patches:,}, "
        f"those that the file has statistics of{hint}: give the --size that the model was fitted with"
    )


def _refuse_other_rounding(levels: list[Size], size: Size) -> None:
    """Refuse a size at which torch's nearest neighbour, computed in float32, is another one than the exact one."""
    for level in levels[1:]:
        for n_in, n_out in zip(level, levels[0], strict=True):
            theirs = nearest_of_torch(n_in, n_out)
            if theirs.tolist() != nearest(n_in, n_out).tolist():
                raise ModelError(
                    f"got images of {size[0]}x{size[1]}, at which torch rounds the nearest of {n_in} patches in float32; "
                    f"expected a size in multiples of 32: import it with --with-anomalib"
                )


def _drawn(foreign: ForeignModel, features: int, total: int) -> Tensor:
    """Return the drawn channels, in the file's order.

    Raises:
        ModelError: not different channels of the layers.
    """
    source = foreign.tensors[_INDEX]
    if source.dtype != torch.int64:
        raise ModelError(f"got {_INDEX} of {source.dtype}; expected int64")
    if features > total:
        raise ModelError(
            f"got {features} channels in {_INDEX}; expected at most {total}, all that the layers have"
        )
    drawn = source.load()
    in_range = int(drawn.min()) >= 0 and int(drawn.max()) < total
    if not in_range or len(set(drawn.tolist())) != features:
        raise ModelError(
            f"got channels from {int(drawn.min())} to {int(drawn.max())} in {_INDEX}; "
            f"expected different ones below {total}, all that the layers have"
        )
    return drawn


def _statistics(foreign: ForeignModel, order: Tensor) -> dict[str, Any]:
    """Return mean and inverse covariance with their channels in this order."""
    mean = loaded(foreign.tensors[_MEAN], _MEAN)
    inverse = loaded(foreign.tensors[_INVERSE], _INVERSE)
    for start in range(0, len(inverse), _PATCHES_AT_ONCE):
        part = inverse[start : start + _PATCHES_AT_ONCE]
        part.copy_(part[:, order][:, :, order])
    return {"mean": mean[order].contiguous(), "inv_covariance": inverse}
