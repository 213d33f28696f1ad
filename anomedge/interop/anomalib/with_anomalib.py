"""Import a checkpoint as a detector around the torch model of an installed anomalib."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from anomedge.errors import InputError, ModelError
from anomedge.interop.anomalib.detector import (
    AnomalibConfig,
    AnomalibDetector,
    first_fault,
    installed_version,
)
from anomedge.interop.anomalib.foreign import ForeignModel, Source, Taken
from anomedge.interop.anomalib.importing import Imported, read_foreign
from anomedge.interop.anomalib.models import (
    REGISTRY,
    TorchModel,
    identified,
    named,
)
from anomedge.resample import Geometry

__all__ = ["detector_of", "import_with_anomalib", "models"]

Size = tuple[int, int]
_HALVES = (torch.float16, torch.bfloat16)


def models() -> list[str]:
    """Return the names of the models that can be imported, sorted."""
    return REGISTRY.names()


def import_with_anomalib(
    path: Path | str,
    *,
    model: str | None = None,
    size: Size | None = None,
    taken: Taken | None = None,
) -> Imported:
    """Build a detector around anomalib's own torch model from its checkpoint.

    Args:
        path: the checkpoint, or a torch module that anomalib exported.
        model: name of the model; None: the one that the file's tensors fit.
        size: (H, W) of the images, where the file does not state it.
        taken: lines of an import that is under way.

    Raises:
        ModelError: anomalib is not installed, the file is damaged, of no known
            model, or its tensors are not those of the installed model.
        InputError: an unknown model, a missing or contradictory size.
    """
    installed_version()
    taken = Taken() if taken is None else taken
    with read_foreign(path) as foreign:
        detector, geometry = detector_of(foreign, model, size, taken)
    return Imported(detector, geometry, foreign, taken)


def detector_of(
    foreign: ForeignModel, model: str | None, size: Size | None, taken: Taken
) -> tuple[AnomalibDetector, Geometry]:
    """Return the detector of a file that is open, and how pictures become its images.

    Raises:
        ModelError, InputError: as `import_with_anomalib`.
    """
    kind = _kind(foreign, model, taken)
    geometry = _geometry(foreign, kind, size, taken)
    mean, std = _scaling(foreign, kind, taken)
    arguments = _arguments(foreign, kind, taken)
    tensors = _tensors(foreign, taken)
    values = {
        "size": geometry.crop or geometry.size,
        "mean": mean,
        "std": std,
        "description": kind.name,
        "model": kind.name,
        "arguments": arguments,
        "version": installed_version(),
    }
    shapes = {
        name: tuple(tensor.shape)
        for name, tensor in tensors.items()
        if kind.is_sized(name)
    }
    config = AnomalibConfig.checked(**values, shapes=shapes)
    detector = AnomalibDetector(
        config, **AnomalibDetector.build_networks(config)
    )
    _load(detector, kind, tensors)
    if kind.difference:
        taken.add("difference from anomalib", kind.difference, "table")
    return detector.eval(), geometry


def _kind(
    foreign: ForeignModel, model: str | None, taken: Taken
) -> type[TorchModel]:
    """Return the model, as asked for or as the tensors tell.

    Raises:
        InputError: no model of the list has the name.
        ModelError: no model or several fit, or the one asked for does not.
    """
    if foreign.kind == "onnx":
        raise ModelError(
            f"got {foreign.path}, an exported graph; expected a checkpoint (.ckpt) or a torch module (.pt): "
            f"give the checkpoint that it was exported from"
        )
    names = list(foreign.tensors)
    if model is None:
        kind = identified(names, foreign.class_name)
        taken.add("model", f"{kind.name}, by the names of the tensors", "file")
        return kind
    kind = named(model)
    if not kind.matches(names):
        raise ModelError(
            f"got the model {kind.name} for {foreign.path}, whose tensors are others; expected the model that "
            f"the file holds: leave out --detector"
        )
    taken.add("model", kind.name, "option")
    return kind


def _geometry(
    foreign: ForeignModel,
    kind: type[TorchModel],
    size: Size | None,
    taken: Taken,
) -> Geometry:
    """Return the geometry that the file states, that was asked for, or of the model's default.

    Raises:
        InputError: the file states none, or another one than was asked for.
    """
    stated = foreign.preprocessing.geometry
    if stated is not None:
        if size not in (None, stated.size, stated.crop):
            raise InputError(
                f"got --size {_text(size)}; expected {_text(stated.size)}, the size that the file states: leave it out"
            )
        return _said(stated, foreign.preprocessing.source, taken)
    if size is not None:
        return _said(Geometry(size), "option", taken)
    if foreign.preprocessing.source == "table":
        return _said(Geometry(kind.size, kind.crop), "table", taken)
    raise InputError(
        f"got no size, and {foreign.path} states none; expected that of the training: give --size, "
        f"by default {_text(kind.size)} for {kind.name}"
    )


def _said(geometry: Geometry, source: Source, taken: Taken) -> Geometry:
    crop = f", crop {_text(geometry.crop)}" if geometry.crop else ""
    taken.add("size", f"{_text(geometry.size)}{crop}, antialiased", source)
    return geometry


def _text(size: Size | None) -> str:
    return "unknown" if size is None else f"{size[0]}x{size[1]}"


def _scaling(
    foreign: ForeignModel, kind: type[TorchModel], taken: Taken
) -> tuple[Any, Any]:
    found = foreign.preprocessing
    if found.mean is not None and found.std is not None:
        taken.add("mean and std", f"{found.mean}, {found.std}", found.source)
        return found.mean, found.std
    # A stated transform without a normalisation does not scale.
    mean, std = kind.scaling
    taken.add("mean and std", f"{mean}, {std}", "table")
    return mean, std


def _arguments(
    foreign: ForeignModel, kind: type[TorchModel], taken: Taken
) -> dict[str, Any]:
    """Return the hyper-parameters that the model is built from.

    Raises:
        ModelError: one is out of range.
    """
    known = kind.arguments_class.model_fields
    stated = {
        name: plain(value)
        for name, value in foreign.arguments.items()
        if name in known
    }
    try:
        arguments = kind.arguments_class.model_validate(stated)
    except ValidationError as error:
        raise ModelError(
            f"{foreign.path}: {kind.name} got {first_fault(error)}; expected the hyper-parameters of a model that "
            f"can be exported: train it with others"
        ) from error
    for name, value in arguments.model_dump(mode="json").items():
        taken.add(name, value, "file" if name in stated else "table")
    return arguments.model_dump(mode="json")


def plain(value: Any) -> Any:
    """Return a hyper-parameter as a plain value; a member of an enumeration is an inert record of its value.

    >>> plain(("layer1", "layer2"))
    ['layer1', 'layer2']
    """
    arguments = getattr(value, "args", None)
    if isinstance(arguments, tuple) and len(arguments) == 1:
        return plain(arguments[0])
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def _tensors(foreign: ForeignModel, taken: Taken) -> dict[str, Tensor]:
    """Read the tensors; widen halves to float32."""
    tensors = {name: source.load() for name, source in foreign.tensors.items()}
    halves = [name for name, value in tensors.items() if value.dtype in _HALVES]
    for name in halves:
        tensors[name] = tensors[name].float()
    if halves:
        taken.add(
            "precision",
            f"{len(halves)} tensors widened to float32; scores differ from anomalib's by its rounding",
            "computed",
        )
    return tensors


def _load(
    detector: AnomalibDetector,
    kind: type[TorchModel],
    tensors: Mapping[str, Tensor],
) -> None:
    """Load every tensor, and no other.

    Raises:
        ModelError: names or shapes differ from those of the installed model.
    """
    try:
        detector.held.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(
            f"the tensors are not those of {kind.name} in anomalib {installed_version()} ({reason}); "
            f"expected a checkpoint of that release: install the one that wrote it"
        ) from error
    refuse_not_finite(tensors)


def refuse_not_finite(tensors: Mapping[str, Tensor]) -> None:
    """Refuse tensors with values that are not finite.

    Raises:
        ModelError: one has such a value.
    """
    for name, value in tensors.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise ModelError(
                f"tensor {name} has values that are not finite; expected a fitted model: train it again"
            )
