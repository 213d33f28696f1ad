"""Checks of an export's options and target, before long work."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import onnx.defs

from anomedge.bundle import LOCAL, MANIFEST
from anomedge.bundle.contracts import MOST_BATCH_BYTES, batch_bytes
from anomedge.errors import InputError, OutputError
from anomedge.export.options import ExportOptions
from anomedge.export.proof import pictures_of
from anomedge.export.search import check_searched
from anomedge.images import Picture
from anomedge.images.frames import has_colour
from anomedge.images.sizes import sizes_of
from anomedge.layouts import Layout
from anomedge.pipelines.model import Model
from anomedge.precisions import written
from anomedge.resample import check_frame
from anomedge.resample.outside_resize import Framing, OutsideResize

__all__ = [
    "check_batch",
    "check_colour",
    "check_layout",
    "check_precisions",
    "check_replaced",
    "check_shape",
    "check_with_model",
    "warn_of_sizes",
]


def check_replaced(target: Path, force: bool) -> None:
    """Allow `--force` to replace a bundle or an empty folder only, never another folder."""
    if not force or not os.path.lexists(target):
        return
    if (
        target.is_symlink()
        or not target.is_dir()
        or (any(target.iterdir()) and not (target / MANIFEST).is_file())
    ):
        raise OutputError(
            f"{target} is no bundle; expected one to replace, or a new name: give another -o"
        )
    if (target / LOCAL).exists():
        warnings.warn(
            f"{target / LOCAL} will go with the bundle that is replaced; keep a copy",
            stacklevel=3,
        )


def check_shape(options: ExportOptions) -> None:
    """Check frame, batch and opset."""
    if options.frame != "any":
        check_frame(options.frame)
    if options.batch != "dynamic" and not 1 <= options.batch <= 4096:
        raise InputError(
            f"got batch {options.batch}; expected 'dynamic' or a number from 1 to 4096"
        )
    if options.frame != "any":
        check_batch(options, options.frame)
    if not 17 <= options.opset <= onnx.defs.onnx_opset_version():
        raise InputError(
            f"got opset {options.opset}; expected one from 17 to {onnx.defs.onnx_opset_version()}"
        )


def check_batch(options: ExportOptions, framing: Framing) -> None:
    """Bound the memory of a fixed batch of the graph's input."""
    frame, bytes_a_value = (
        (framing.frame, 4)
        if isinstance(framing, OutsideResize)
        else (framing, 1)
    )
    if (
        options.batch != "dynamic"
        and batch_bytes(options.batch, frame, bytes_a_value) > MOST_BATCH_BYTES
    ):
        raise InputError(
            f"got batch {options.batch} of frames of {frame}; expected at most {MOST_BATCH_BYTES >> 30} GiB of "
            "pixels: give a smaller batch or frame"
        )


def check_with_model(model: Model, options: ExportOptions) -> None:
    """Check the options that depend on the model, before its networks are quantised.

    Raises:
        InputError: a batch that is too large, a search of another detector, or golden pictures that are missing.
    """
    framing = options.framing(model.geometry)
    check_batch(options, framing)
    check_searched(model, options)
    pictures_of(options.golden, framing, model.levels, options.normal)


def warn_of_sizes(pictures: Sequence[Picture], options: ExportOptions) -> None:
    """Warn if the golden pictures have several sizes, of which the bundle would take one."""
    if options.frame == "any":
        return
    sizes = sizes_of(pictures)
    if sizes.vary:
        height, width = options.frame
        warnings.warn(
            f"got golden pictures of {sizes}; the bundle will take frames of {height}x{width} alone: export with "
            f"--frame any to inspect pictures of any size",
            stacklevel=3,
        )


def check_colour(pictures: Sequence[Picture], options: ExportOptions) -> None:
    """Check that the golden pictures have no colour if a layout has none.

    Raises:
        InputError: one has.
    """
    if not any(layout.colour == "grey" for layout in options.layouts):
        return
    for picture in pictures:
        if has_colour(picture.frame()):
            raise InputError(
                f"got layout grey with {picture.name}, which has colour; expected golden pictures of the monochrome camera: "
                f"give --golden DIR, or export the layout bgr"
            )


def check_layout(options: ExportOptions) -> None:
    """Check that the layouts can be exported with the other options."""
    for layout in options.layouts:
        if layout.adds_graph:
            _check_layout(layout, options)


def _check_layout(layout: type[Layout], options: ExportOptions) -> None:
    if options.frame == "any":
        raise InputError(
            f"got layout {layout.name} with frame any; expected --frame HxW: its tools resize pictures in their own way"
        )
    if layout.precision not in {None, *options.precisions}:
        raise InputError(
            f"got layout {layout.name} with precision {', '.join(options.precisions)}; expected {layout.precision} among "
            f"them: its tools get that"
        )
    if not layout.accepts_batch(options.batch):
        raise InputError(
            f"got batch {options.batch} with layout {layout.name}; expected dynamic or 1: its tools feed one picture at a "
            f"time"
        )


def check_precisions(options: ExportOptions) -> None:
    """Check that the precisions exist and differ from one another."""
    asked = list(options.precisions)
    if (
        not asked
        or len(set(asked)) != len(asked)
        or not set(asked) <= written().keys()
    ):
        raise InputError(
            f"got precision {asked}; expected each at most once, of: {', '.join(written())}"
        )
    alone = [name for name in asked if written()[name].quantised_networks]
    if alone and len(asked) > 1:
        raise InputError(
            f"got precision {', '.join(asked)}; expected {alone[0]} alone, because its thresholds are its own: export twice"
        )
    if options.int8 is not None and not alone:
        raise InputError(
            f"got calibration pictures with precision {', '.join(asked)}; expected --precision int8, or no --calibrate"
        )
