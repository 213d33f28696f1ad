"""Import a checkpoint as a detector around the torch model of an installed anomalib."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from torch import Tensor

from anomedge.errors import AnomedgeError, ModelError
from anomedge.interop.anomalib.defaults import Default
from anomedge.interop.anomalib.detector import (
    AnomalibConfig,
    AnomalibDetector,
    first_fault,
    installed_version,
)
from anomedge.interop.anomalib.foreign import ForeignModel, Taken
from anomedge.interop.anomalib.importing import Imported, read_foreign
from anomedge.interop.anomalib.models import (
    REGISTRY,
    TorchModel,
    identified,
    named,
)
from anomedge.interop.anomalib.resolving import resolved
from anomedge.interop.anomalib.tensors import loaded, said_precision
from anomedge.pipelines.networks import network_inputs
from anomedge.resample import Geometry

__all__ = ["detector_of", "generic_of", "import_with_anomalib", "models"]

Size = tuple[int, int]

_EXTRACTOR = "TimmFeatureExtractor"
"""anomalib's class around a timm backbone, which lies in several modules of its releases."""


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
    """Open a checkpoint and build a detector around anomalib's own torch model; see `generic_of`."""
    installed_version()
    with read_foreign(path) as foreign:
        return generic_of(foreign, model, size, taken)


def generic_of(
    foreign: ForeignModel,
    model: str | None = None,
    size: Size | None = None,
    taken: Taken | None = None,
) -> Imported:
    """Build a detector around anomalib's own torch model from an open file.

    Args:
        foreign: a checkpoint, or a torch module that anomalib exported.
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
    detector, geometry = detector_of(foreign, model, size, taken)
    return Imported(detector, geometry, foreign, taken)


def detector_of(
    foreign: ForeignModel, model: str | None, size: Size | None, taken: Taken
) -> tuple[AnomalibDetector, Geometry]:
    """Return the detector of a file that is open, and how pictures become its images.

    Raises:
        ModelError, InputError: as `generic_of`.
    """
    kind = _kind(foreign, model, taken)
    default = Default(Geometry(kind.size, kind.crop), *kind.scaling)
    preprocessing, geometry = resolved(foreign, default, size, taken)
    arguments = _arguments(foreign, kind, taken)
    tensors = _tensors(foreign, taken)
    values = {
        "size": geometry.image,
        "mean": preprocessing.mean,
        "std": preprocessing.std,
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
    return _with_backbones(detector.eval()), geometry


def _with_backbones(detector: AnomalibDetector) -> AnomalibDetector:
    """Return the detector with its timm backbones as networks, which may run in reduced precision.

    A model that does not call a backbone as a network keeps all of its parts in float32.
    """
    paths = tuple(
        f"{path}.feature_extractor"
        for path, part in detector.held.named_modules()
        if type(part).__name__ == _EXTRACTOR
        and hasattr(part, "feature_extractor")
    )
    if not paths:
        return detector
    config = detector.config.model_copy(update={"networks": paths})
    found = AnomalibDetector(config, detector.held).eval()
    try:
        network_inputs(found, 2, config.size)
    except AnomedgeError:
        return detector
    return found


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
            f"got the model {kind.name} for {foreign.path}, which has other tensors; expected the model of "
            f"the file: leave out --detector"
        )
    taken.add("model", kind.name, "option")
    return kind


def _arguments(
    foreign: ForeignModel, kind: type[TorchModel], taken: Taken
) -> dict[str, Any]:
    """Return the hyper-parameters that the model is built from.

    Raises:
        ModelError: one is out of range.
    """
    known = kind.arguments_class.model_fields
    stated = {
        name: value
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


def _tensors(foreign: ForeignModel, taken: Taken) -> dict[str, Tensor]:
    """Read the tensors; floating-point ones in float32.

    Raises:
        ModelError: one has values that are not finite.
    """
    said_precision(
        "tensors", [each.dtype for each in foreign.tensors.values()], taken
    )
    return {
        name: loaded(source, name)
        if source.dtype.is_floating_point
        else source.load()
        for name, source in foreign.tensors.items()
    }


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
