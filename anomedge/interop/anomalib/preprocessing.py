"""Preprocessing that a file of anomalib states: resize, central crop and scaling.

anomalib applies a torchvision transform to float images in [0, 1]. A file holds
it as a pickled object (1.2 to 2.6) or as plain data (2.7). Only the transforms
that a `Geometry` represents are read; every other one is refused by name.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from anomedge.errors import InputError, ModelError
from anomedge.interop.anomalib.defaults import UNSCALED
from anomedge.interop.anomalib.foreign import Preprocessing, Triple
from anomedge.interop.anomalib.plain import (
    entries_of,
    enum_value,
    shown,
    state_of,
    triple_of,
)
from anomedge.interop.archive import Record
from anomedge.resample import Geometry

__all__ = [
    "LEAST_DEVIATION",
    "Step",
    "preprocessing_of",
    "steps_of",
]

Size = tuple[int, int]

_MODULES = ("torchvision.transforms.", "anomalib.data.transforms.")
_WITHOUT_EFFECT = {"Identity", "ToImage", "ToTensor"}
_CROPS = {"CenterCrop", "ExportableCenterCrop"}
_BILINEAR = ("bilinear", 2)
_BICUBIC = "bicubic"
_MOST_STEPS = 32
LEAST_DEVIATION = 1e-4
"""Least standard deviation of images in [0, 1]."""


@dataclass(frozen=True)
class Step:
    """One transform: the name of its class, and its attributes."""

    name: str
    values: dict[str, Any] = field(default_factory=dict)


def steps_of(transform: Any) -> list[Step]:
    """Return the transforms, of an object or of its plain data, with those of a Compose in their order.

    Raises:
        ModelError: not transforms of torchvision or anomalib, or too many.
    """
    steps: list[Step] = []
    pending = [transform]
    for _ in range(_MOST_STEPS):
        if not pending:
            return steps
        step = _step_of(pending.pop())
        if step.name == "Compose":
            pending += reversed(_parts(step))
        else:
            steps.append(step)
    raise ModelError(
        f"got over {_MOST_STEPS} transforms; expected a resize, a crop and a normalisation"
    )


def preprocessing_of(transform: Any, note: str) -> Preprocessing:
    """Return the preprocessing of a transform, an object or its plain data.

    `geometry` is None if it has no resize; `antialias` is None if the resize
    does not state it.

    Raises:
        ModelError: a transform that cannot be represented.
    """
    found = Preprocessing(mean=UNSCALED[0], std=UNSCALED[1], note=note)
    for step in steps_of(transform):
        found = _added(found, step)
    return found


def _parts(compose: Step) -> list[Any]:
    inner = compose.values.get("transforms")
    if not isinstance(inner, list | tuple):
        raise ModelError(
            "got a Compose without transforms; expected a list of them"
        )
    return list(inner[: _MOST_STEPS + 1])


def _step_of(transform: Any) -> Step:
    """Return the class name and the attributes of one transform."""
    path: Any
    if isinstance(transform, Record):
        path, values = transform.path, state_of(transform)
    else:
        spec = entries_of(transform)
        path, values = spec.get("class_path"), entries_of(spec.get("init_args"))
    if not isinstance(path, str) or not path.startswith(_MODULES):
        kind = path if isinstance(path, str) else type(transform).__name__
        raise ModelError(
            f"got the transform {kind[:200]}; expected one of torchvision's or anomalib's: "
            f"fit with Resize, CenterCrop and Normalize"
        )
    return Step(path.rpartition(".")[2], values)


def _added(found: Preprocessing, step: Step) -> Preprocessing:
    """Return the preprocessing with one more step."""
    if step.name in _WITHOUT_EFFECT:
        return found
    is_scaled = (found.mean, found.std) != UNSCALED
    if step.name == "Resize" and found.geometry is None and not is_scaled:
        size, how = _resize(step)
        return replace(
            found,
            geometry=Geometry(size),
            antialias=_antialias(step),
            is_bicubic=how == _BICUBIC,
        )
    if step.name in _CROPS and found.geometry is not None and not is_scaled:
        return replace(found, geometry=_cropped(found.geometry, step))
    if step.name == "Normalize" and not is_scaled:
        mean, std = _scaling(step)
        return replace(found, mean=mean, std=std)
    if step.name in {"Resize", "Normalize", *_CROPS}:
        raise ModelError(
            f"got the transform {step.name} out of order; expected Resize, then CenterCrop, then Normalize, each once"
        )
    raise ModelError(
        f"got the transform {step.name}; expected Resize, CenterCrop and Normalize only: "
        f"others cannot be part of the graph"
    )


def _resize(step: Step) -> tuple[Size, Any]:
    """Return height and width, and the interpolation."""
    size = _pair(step.values.get("size"))
    if size is None or step.values.get("max_size") is not None:
        raise ModelError(
            f"got a Resize to {shown(step.values.get('size'))} that keeps the aspect ratio; expected height and width: "
            f"fit with Resize((H, W))"
        )
    how = enum_value(step.values.get("interpolation", "bilinear"))
    if how not in (*_BILINEAR, _BICUBIC):
        raise ModelError(
            f"got a Resize with the interpolation {shown(how)}; expected bilinear: fit with the default one"
        )
    return _checked(size, "Resize"), how


def _antialias(step: Step) -> bool | None:
    """Return True, or None where older torchvision decides by the type of the picture.

    Raises:
        ModelError: a resize without antialiasing.
    """
    antialias = step.values.get("antialias")
    if antialias is False:
        raise ModelError(
            "got a Resize without antialiasing; expected an antialiased one, the only one that anomedge has: "
            "fit with Resize(size, antialias=True)"
        )
    return True if antialias is True else None


def _cropped(geometry: Geometry, step: Step) -> Geometry:
    crop = _pair(step.values.get("size"))
    if crop is None:
        raise ModelError(
            f"got a CenterCrop to {shown(step.values.get('size'))}; expected height and width"
        )
    if geometry.crop is not None:
        raise ModelError("got two CenterCrops; expected at most one")
    try:
        return Geometry(geometry.size, _checked(crop, "CenterCrop"))
    except InputError as error:
        raise ModelError(f"{error}") from error


def _scaling(step: Step) -> tuple[Triple, Triple]:
    mean = triple_of(step.values.get("mean"))
    std = triple_of(step.values.get("std"))
    if mean is None or std is None or min(std) < LEAST_DEVIATION:
        raise ModelError(
            f"got a Normalize with mean {shown(step.values.get('mean'))} and std {shown(step.values.get('std'))}; "
            f"expected three numbers each, std from {LEAST_DEVIATION:g} on"
        )
    return mean, std


def _pair(value: Any) -> Size | None:
    """Return height and width; None for one number, which is the shorter side, and for other values."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        return None
    height, width = value
    for number in (height, width):
        if isinstance(number, bool) or not isinstance(number, int):
            return None
    return height, width


def _checked(size: Size, name: str) -> Size:
    try:
        return Geometry(size).size
    except InputError as error:
        raise ModelError(f"{name}: {error}") from error
