"""Options of a quantisation, and where it is not faster."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from anomedge.errors import InputError

if TYPE_CHECKING:
    from anomedge.export.options import Int8Options

__all__ = ["int8_options", "speed_note"]


def int8_options(
    calibrate: Sequence[str],
    refit_on: Sequence[str],
    quantise_only: bool,
    labelled: Sequence[str],
    max_flips: int,
    max_auroc_drop: float,
) -> Int8Options | None:
    """Return the options of a quantisation; None without calibration pictures.

    Raises:
        InputError: options that contradict each other.
    """
    if refit_on and quantise_only:
        raise InputError(
            "got --refit-on and --quantise-only; expected one of them, because the first estimates the statistics again"
        )
    if not calibrate:
        if refit_on or quantise_only or labelled:
            raise InputError(
                "got options of a quantisation without calibration pictures; expected a folder: give --calibrate DIR"
            )
        return None
    from anomedge.export.options import Int8Options

    return Int8Options(
        calibrate=[Path(name) for name in calibrate],
        refit_on=[Path(name) for name in refit_on],
        refit=not quantise_only,
        labelled=[Path(name) for name in labelled],
        most_flips=max_flips,
        most_auroc_drop=max_auroc_drop,
    )


def speed_note(precision: str, runtimes: Iterable[str]) -> list[str]:
    """Return a line on the runtimes where the precision is not faster than float32; none where it is."""
    if precision != "int8" or "onnxruntime" not in runtimes:
        return []
    return [
        "note: onnxruntime computes the convolutions of an int8 graph in float32, because their outputs are not quantised, "
        "which keeps decisions: int8 is not faster there. openvino computes them in INT8: use it, or fp32 for onnxruntime"
    ]
