"""Options of a quantisation, and the lines that tell of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from anomedge.bundle.quantised import QuantisedNetworks
from anomedge.errors import InputError

if TYPE_CHECKING:
    from anomedge.export.options import Int8Options

__all__ = ["int8_options", "quantisation_lines"]

_NAMED = 8


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


def quantisation_lines(stated: QuantisedNetworks) -> Iterator[str]:
    """Yield what a bundle states about its quantised networks, line by line."""
    kept = [
        (effect, layer)
        for layers in stated.kept.values()
        for layer, effect in layers.items()
    ]
    statistics = (
        "estimated again on quantised features"
        if stated.refitted
        else "those of the float detector"
    )
    yield (
        f"int8: {stated.quantised} layers quantised on {stated.pictures} pictures, {len(kept)} in float32; statistics "
        f"{statistics}"
    )
    yield (
        f"against the float detector ({stated.float_model[:16]}): {stated.flips} of {stated.compared} labels differ, AUROC "
        f"{-stated.auroc_drop:+.4f}"
    )
    if kept:
        worst = sorted(kept, reverse=True)[:_NAMED]
        named = ", ".join(f"{name} ({effect:.2g})" for effect, name in worst)
        more = f" and {len(kept) - _NAMED} more" if len(kept) > _NAMED else ""
        yield f"in float32, with the effect on a score in shares of the scale: {named}{more}"
