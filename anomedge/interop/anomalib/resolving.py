"""Preprocessing of an imported detector: of the file, else of the table of defaults, else of `--size`."""

from __future__ import annotations

from dataclasses import replace

from anomedge.components.timm_backbones import IMAGENET_SCALING
from anomedge.errors import InputError, ModelError
from anomedge.interop.anomalib.defaults import Default
from anomedge.interop.anomalib.foreign import (
    ForeignModel,
    Preprocessing,
    Source,
    Taken,
    Triple,
)
from anomedge.resample import Geometry

__all__ = ["resolved"]

Size = tuple[int, int]


def resolved(
    foreign: ForeignModel,
    default: Default | None,
    size: Size | None,
    taken: Taken,
) -> tuple[Preprocessing, Geometry]:
    """Return the complete preprocessing and its geometry.

    Args:
        foreign: the file.
        default: default of the model in the file's version, if it is known.
        size: the option `--size`, (H, W).
        taken: gets a line for geometry, antialiasing, mean and std.

    Raises:
        InputError: a size that is not known, or not the file's.
    """
    stated = foreign.preprocessing
    _say_or_refuse_bicubic(stated, default, taken)
    geometry, source = stated.geometry, stated.source
    if geometry is None and source == "table" and default is not None:
        geometry = default.geometry
    if source == "file" and geometry is not None:
        _refuse_contradiction(geometry, size)
    elif size is not None:
        geometry, source = Geometry(size), "option"
    if geometry is None:
        reason = f" ({stated.note})" if stated.note else ""
        usual = " HxW"
        if default is not None:
            usual = f", by default {_described(default.geometry)}"
        raise InputError(
            f"the size of the images is not known{reason}; expected the one that the model was fitted with: "
            f"give --size{usual}"
        )
    _say_geometry(geometry, source, stated, taken)
    complete = _scaled(replace(stated, geometry=geometry), default, taken)
    return complete, geometry


def _say_or_refuse_bicubic(
    stated: Preprocessing, default: Default | None, taken: Taken
) -> None:
    """Say that a bicubic resize becomes bilinear, if it is the model's default; refuse it otherwise.

    Raises:
        ModelError: a bicubic resize of any other model.
    """
    is_usual = default is not None and default.is_bicubic
    if stated.is_bicubic and not is_usual:
        raise ModelError(
            "got a Resize with the interpolation 'bicubic'; expected bilinear: fit with the default one"
        )
    if stated.is_bicubic or (is_usual and stated.geometry is None):
        taken.add(
            "difference from anomalib",
            "pictures are resized bilinearly; anomalib's default of this model is bicubic, so its scores of pictures of "
            "another size differ",
            "table",
        )


def _refuse_contradiction(geometry: Geometry, size: Size | None) -> None:
    if size is not None and size != geometry.size:
        raise InputError(
            f"got --size {_shown(size)} for a file that states {_described(geometry)}; "
            f"expected the file's: leave out --size"
        )


def _say_geometry(
    geometry: Geometry, source: Source, stated: Preprocessing, taken: Taken
) -> None:
    taken.add("size", _described(geometry), source)
    if stated.antialias is None and stated.geometry is not None:
        taken.add(
            "resize",
            "antialiased, bilinear; the file does not state antialiasing",
            "computed",
        )
    else:
        taken.add("resize", "antialiased, bilinear", source)


def _scaled(
    stated: Preprocessing, default: Default | None, taken: Taken
) -> Preprocessing:
    """Return the preprocessing with mean and std; the default's or ImageNet's where the file does not state them."""
    mean, std = stated.mean, stated.std
    source: Source = "file"
    if mean is None or std is None:
        mean, std = IMAGENET_SCALING
        if default is not None:
            mean, std = default.mean, default.std
        source = "table"
    taken.add("mean", _numbers(mean), source)
    taken.add("std", _numbers(std), source)
    return replace(stated, mean=mean, std=std, antialias=True)


def _described(geometry: Geometry) -> str:
    crop = f", central crop {_shown(geometry.crop)}" if geometry.crop else ""
    return f"{_shown(geometry.size)}{crop}"


def _shown(size: Size) -> str:
    return f"{size[0]}x{size[1]}"


def _numbers(values: Triple) -> str:
    return ", ".join(f"{value:g}" for value in values)
