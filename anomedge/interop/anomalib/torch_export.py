"""Torch modules that `anomalib export --export_type torch` wrote, as inert records of a whole module."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anomedge.errors import ModelError
from anomedge.interop.anomalib.checkpoint import (
    fitted_flag,
    pre_processor,
    thresholds_of_v1,
    thresholds_of_v2,
)
from anomedge.interop.anomalib.foreign import (
    ForeignModel,
    Preprocessing,
    StoredThresholds,
)
from anomedge.interop.anomalib.plain import (
    entries_of,
    plain_arguments,
    state_of,
)
from anomedge.interop.anomalib.preprocessing import preprocessing_of
from anomedge.interop.anomalib.versions import V1, V2, V27
from anomedge.interop.archive import Record, StoredTensor

__all__ = ["torch_export"]

_DEEPEST = 64
_MOST_MODULES = 5_000
_MOST_TENSORS = 20_000
_INFERENCE_MODEL = "anomalib.deploy.export.InferenceModel"
_MODELS = "anomalib.models."


def torch_export(path: Path, digest: str, content: Any) -> ForeignModel:
    """Return the content of an exported torch module.

    Raises:
        ModelError: not a module of anomalib, or a preprocessing that cannot be
            represented.
    """
    parts = entries_of(content)
    whole = parts.get("model")
    if not isinstance(whole, Record):
        raise ModelError(
            "got a file without a module named `model`; expected one of `anomalib export --export_type torch`"
        )
    if whole.path == _INFERENCE_MODEL:
        return _of_version_1(path, digest, whole, parts.get("metadata"))
    if whole.path.startswith(_MODELS):
        return _of_version_2(path, digest, whole)
    raise ModelError(
        f"got a module {whole.path[:200]}; expected a model of anomalib"
    )


def _of_version_1(
    path: Path, digest: str, whole: Record, metadata: Any
) -> ForeignModel:
    modules = _modules_of(whole)
    model = _inner_model(modules)
    return ForeignModel(
        path=path,
        digest=digest,
        kind="pt",
        version=V1,
        tensors=_tensors(model),
        arguments=_attributes(model),
        preprocessing=_preprocessing_of_1(whole, modules),
        thresholds=_thresholds_of_1(entries_of(metadata)),
        class_name=model.name.removesuffix("Model"),
    )


def _preprocessing_of_1(
    whole: Record, modules: Mapping[str, Any]
) -> Preprocessing:
    transform = modules.get("transform", state_of(whole).get("transform"))
    if transform is None:
        return Preprocessing(note="the file does not hold its transform")
    return preprocessing_of(transform, "transform of the module")


def _thresholds_of_1(metadata: Mapping[str, Any]) -> StoredThresholds:
    """Translate the metadata to the names of a state_dict; infinite values are left out there."""
    state = {
        f"normalization_metrics.{name}": value
        for name, value in metadata.items()
    }
    for level in ("image_threshold", "pixel_threshold"):
        state[f"{level}.value"] = metadata.get(level)
    return thresholds_of_v1(state)


def _of_version_2(path: Path, digest: str, whole: Record) -> ForeignModel:
    modules = _modules_of(whole)
    model = _inner_model(modules)
    state = state_of(whole)
    arguments = entries_of(state.get("_hparams"))
    is_old = "pre_processor" in arguments
    processor = modules.get("post_processor")
    return ForeignModel(
        path=path,
        digest=digest,
        kind="pt",
        version=V2 if is_old else V27,
        tensors=_tensors(model),
        arguments=_attributes(model) | plain_arguments(arguments),
        preprocessing=pre_processor(modules.get("pre_processor")),
        thresholds=thresholds_of_v2(
            _own_tensors(processor), state_of(processor)
        ),
        class_name=whole.name,
        fitted=fitted_flag(_own_tensors(whole).get("_is_fitted")),
    )


def _inner_model(modules: Mapping[str, Any]) -> Record:
    model = modules.get("model")
    if not isinstance(model, Record):
        raise ModelError(
            "got a module of anomalib without its torch model; expected `model` among its modules"
        )
    return model


def _attributes(model: Record) -> dict[str, Any]:
    """Return the plain attributes of the torch model, such as its backbone and its layers."""
    state = state_of(model)
    public = {
        name: value
        for name, value in state.items()
        if not name.startswith("_") and name != "training"
    }
    return plain_arguments(public)


def _modules_of(module: Any) -> dict[str, Any]:
    return entries_of(state_of(module).get("_modules"))


def _own_tensors(module: Any) -> dict[str, StoredTensor]:
    """Return parameters and buffers of one module, without those that are not persistent."""
    state = state_of(module)
    left_out = state.get("_non_persistent_buffers_set")
    names = left_out if isinstance(left_out, set | frozenset) else frozenset()
    found = {}
    for kind in ("_parameters", "_buffers"):
        for name, value in entries_of(state.get(kind)).items():
            if isinstance(value, StoredTensor) and name not in names:
                found[name] = value
    return found


def _tensors(model: Record) -> dict[str, StoredTensor]:
    """Return the tensors of a module and of those in it, named as in its state_dict.

    Raises:
        ModelError: modules that are nested too deeply, such as in themselves, or
            too many.
    """
    found: dict[str, StoredTensor] = {}
    pending: list[tuple[str, Any]] = [("", model)]
    for _ in range(_MOST_MODULES):
        if not pending:
            return found
        prefix, module = pending.pop()
        inner = _modules_of(module)
        if prefix.count(".") > _DEEPEST or len(inner) > _MOST_MODULES:
            break
        own = _own_tensors(module)
        found |= {f"{prefix}{name}": tensor for name, tensor in own.items()}
        pending += [(f"{prefix}{name}.", part) for name, part in inner.items()]
        if len(found) > _MOST_TENSORS or len(pending) > _MOST_MODULES:
            break
    raise ModelError(
        f"got modules nested over {_DEEPEST} deep, or over {_MOST_MODULES:,} of them; expected a network"
    )
