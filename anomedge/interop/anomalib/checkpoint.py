"""Lightning checkpoints of anomalib 1.2 and 2.3 to 2.7."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anomedge.errors import ModelError
from anomedge.interop.anomalib.defaults import UNSCALED
from anomedge.interop.anomalib.foreign import (
    ForeignModel,
    Preprocessing,
    StoredThresholds,
)
from anomedge.interop.anomalib.plain import (
    entries_of,
    number_of,
    plain_arguments,
    state_of,
)
from anomedge.interop.anomalib.preprocessing import preprocessing_of
from anomedge.interop.anomalib.versions import V1, V27, version_of
from anomedge.interop.archive import Record, StoredTensor

__all__ = [
    "checkpoint",
    "fitted_flag",
    "pre_processor",
    "thresholds_of_v1",
    "thresholds_of_v2",
]

_MODEL = "model."
_DEFAULT = Preprocessing(
    source="table", note="the file says that its model's default was used"
)


def checkpoint(path: Path, digest: str, content: Any) -> ForeignModel:
    """Return the content of a checkpoint.

    Raises:
        ModelError: not a checkpoint of anomalib, or a preprocessing that cannot
            be represented.
    """
    parts = entries_of(content)
    state = entries_of(parts.get("state_dict"))
    arguments = entries_of(parts.get("hyper_parameters"))
    version = version_of(parts, state, arguments)
    return ForeignModel(
        path=path,
        digest=digest,
        kind="ckpt",
        version=version,
        tensors=_tensors(state),
        arguments=plain_arguments(arguments),
        preprocessing=_preprocessing(version, parts, arguments),
        thresholds=_thresholds(version, parts, state),
        fitted=fitted_flag(state.get("_is_fitted")),
    )


def _tensors(state: Mapping[str, Any]) -> dict[str, StoredTensor]:
    """Return the tensors of the torch model by the names that they have in it."""
    found = {}
    for name, value in state.items():
        if name.startswith(_MODEL) and isinstance(value, StoredTensor):
            found[name.removeprefix(_MODEL)] = value
    if not found:
        raise ModelError(
            "got a checkpoint without tensors of a model; expected some named model.*: save it with anomalib's Engine"
        )
    return found


def fitted_flag(value: Any) -> bool | None:
    """Return the flag `_is_fitted`, a tensor of one element; None if it is absent."""
    if isinstance(value, StoredTensor) and value.shape in {(), (1,)}:
        return bool(value.load().reshape(()).item())
    return None


def _preprocessing(
    version: str, parts: Mapping[str, Any], arguments: Mapping[str, Any]
) -> Preprocessing:
    if version == V1:
        if isinstance(parts.get("transform"), Record):
            return preprocessing_of(parts["transform"], "transform")
        return _DEFAULT
    if version == V27:
        return _preprocessing_of_27(parts)
    return pre_processor(arguments.get("pre_processor"))


def _preprocessing_of_27(parts: Mapping[str, Any]) -> Preprocessing:
    enabled = entries_of(parts.get("anomalib_components_enabled"))
    if enabled.get("pre_processor") is False:
        return _no_pre_processor()
    config = entries_of(parts.get("anomalib_pre_processor_config"))
    if config.get("transform") is None:
        return Preprocessing(
            note="the file does not hold its transform, which anomalib could not save"
        )
    return preprocessing_of(
        config["transform"], "anomalib_pre_processor_config"
    )


def pre_processor(value: Any) -> Preprocessing:
    """Return the preprocessing of a PreProcessor object, or of a switch in its place: True is the model's default."""
    if value is True:
        return _DEFAULT
    if not isinstance(value, Record):
        return _no_pre_processor()
    attributes = state_of(value)
    modules = entries_of(attributes.get("_modules"))
    transform = modules.get("transform", attributes.get("transform"))
    if transform is None:
        return _no_pre_processor()
    return preprocessing_of(transform, f"{value.name} of the file")


def _no_pre_processor() -> Preprocessing:
    return Preprocessing(
        mean=UNSCALED[0],
        std=UNSCALED[1],
        note="the file says that its model has no pre-processor",
    )


def _thresholds(
    version: str, parts: Mapping[str, Any], state: Mapping[str, Any]
) -> StoredThresholds:
    if version == V1:
        return thresholds_of_v1(state)
    config = entries_of(parts.get("anomalib_post_processor_config"))
    prefix = "post_processor."
    own = {
        name.removeprefix(prefix): value
        for name, value in state.items()
        if name.startswith(prefix)
    }
    if not config:
        arguments = entries_of(parts.get("hyper_parameters"))
        config = state_of(arguments.get("post_processor"))
    return thresholds_of_v2(own, config)


def thresholds_of_v1(state: Mapping[str, Any]) -> StoredThresholds:
    """Return the thresholds of a state_dict of anomalib 1; all None if it was never validated."""
    extremes: dict[str, float | None] = {}
    for level, metric in (("image", "pred_scores"), ("pixel", "anomaly_maps")):
        for end in ("min", "max"):
            value = state.get(f"normalization_metrics.{metric}.{end}")
            extremes[f"{level}_{end}"] = number_of(value)
    found: dict[str, Any] = dict(extremes)
    for level in ("image", "pixel"):
        # Without validation the threshold is a constant of 0.5 and the extremes are infinite.
        if extremes[f"{level}_min"] is not None:
            value = state.get(f"{level}_threshold.value")
            found[f"{level}_threshold"] = number_of(value)
    return StoredThresholds(**found)


def thresholds_of_v2(
    state: Mapping[str, Any], config: Mapping[str, Any]
) -> StoredThresholds:
    """Return the thresholds of a post-processor of anomalib 2: its tensors and its attributes."""
    matching = config.get("enable_threshold_matching")
    return StoredThresholds(
        image_threshold=number_of(state.get("_image_threshold")),
        pixel_threshold=number_of(state.get("_pixel_threshold")),
        image_min=number_of(state.get("image_min")),
        image_max=number_of(state.get("image_max")),
        pixel_min=number_of(state.get("pixel_min")),
        pixel_max=number_of(state.get("pixel_max")),
        image_sensitivity=_sensitivity(config.get("image_sensitivity")),
        pixel_sensitivity=_sensitivity(config.get("pixel_sensitivity")),
        threshold_matching=matching if isinstance(matching, bool) else None,
    )


def _sensitivity(value: Any) -> float | None:
    """Return a sensitivity; None if it is absent, NaN if it is no number, because a default would decide otherwise."""
    number = number_of(value)
    return math.nan if number is None and value is not None else number
