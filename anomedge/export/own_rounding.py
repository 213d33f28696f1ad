"""Rounding of the detector itself: eager Torch in float32 against float64."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from anomedge.parity import Certificate
from anomedge.parity.reference import Reference
from anomedge.parity.tolerances import WIDEST, release_tolerance
from anomedge.pipelines.model import Model
from anomedge.pipelines.preprocessing import to_images
from anomedge.pipelines.tiles import Tiles, detect
from anomedge.resample.outside_resize import Framing, stated_size
from anomedge.threshold import scale_of_each

__all__ = ["advice_on_rounding", "own_rounding"]

_MOST = 4
"""Largest number of pictures that run in float64."""

_EXPLAINED = 4.0
"""Largest error of a copy that rounding on both sides explains, as a multiple of the detector's own."""

_NOTABLE = 0.5
"""Smallest own rounding to mention, as a share of the tolerance."""


def advice_on_rounding(
    certificate: Certificate,
    model: Model,
    reference: Reference,
    framing: Framing,
) -> str:
    """Return advice on a failed proof that the detector's own float32 rounding explains; an empty text for others.

    Such a detector amplifies the rounding of its features, for example where constant pixels have almost no variance. No copy in float32 can be nearer to the original than the original is to its own formula.
    """
    failed = [
        cell
        for cell in certificate.cells
        if cell.precision == "fp32" and cell.failures and not cell.flips
    ]
    names = list(dict.fromkeys(cell.worst for cell in failed))[:_MOST]
    allowed = release_tolerance("fp32").map
    error = own_rounding(model, reference, names, framing)
    if not _NOTABLE * allowed < error < math.inf:
        return ""
    measured = _larger(
        each
        for cell in failed
        for each in (cell.score_error, cell.map_error or 0)
    )
    if measured > _EXPLAINED * error:
        return ""
    factor = max(2, math.ceil(max(2 * error, measured) / allowed))
    text = (
        f"\n  eager Torch in float32 is itself off by {error:.1e} of the scale from float64 on the worst of these pictures: "
        f"this detector amplifies rounding"
    )
    if factor > WIDEST:
        return text
    return (
        f"{text}; --widen {factor} allows for it, and the certificate says so"
    )


def own_rounding(
    model: Model,
    reference: Reference,
    names: Sequence[str],
    framing: Framing,
) -> float:
    """Return the largest error of float32 outputs from float64, as a fraction of `scale_of_each`.

    Args:
        model: the detector.
        reference: its float32 outputs.
        names: names of the pictures to run.
        framing: how a picture becomes the graph's input.

    Returns:
        The error; 0 without pictures, or if the detector does not run in float64.
    """
    if not names:
        return 0.0
    pipeline = copy.deepcopy(model.pipeline).double()
    tiles, scale = Tiles.of(model.geometry), model.decision.scale
    worst = 0.0
    for place in map(reference.names.index, names):
        frame = reference.pictures[place].frame(stated_size(framing))
        with torch.no_grad():
            pixels = torch.from_numpy(frame[None].copy())
            images = to_images(pixels, model.geometry).double()
            try:
                exact = detect(pipeline, tiles, images)
            except (RuntimeError, TypeError):
                # A module may hold float32 tensors that are no buffers.
                return 0.0
        expected = {name: value.numpy() for name, value in exact.items()}
        found = reference.outputs.at([place])
        errors = [_error(found.score, expected["score"], scale)]
        if found.anomaly_map is not None:
            errors.append(
                _error(found.anomaly_map, expected["anomaly_map"], scale)
            )
        worst = _larger([worst, *errors])
    return worst


def _error(
    found: npt.NDArray[np.floating],
    expected: npt.NDArray[np.floating],
    scale: float,
) -> float:
    difference = np.abs(found.astype(np.float64) - expected)
    return float((difference / scale_of_each(expected, scale)).max())


def _larger(errors: Iterable[float]) -> float:
    """Return the largest error; infinite if one is not a number."""
    return max(math.inf if math.isnan(error) else error for error in errors)
