"""Reference of a proof on the host: pictures, their results in eager Torch, and blends near the threshold."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from anomedge.bundle import Bundle
from anomedge.export.eager import EagerSession
from anomedge.images import Picture, read_folders
from anomedge.parity import Reference
from anomedge.parity.golden import places_with_stages, read_golden
from anomedge.parity.outputs import FRAMES, Outputs, collect
from anomedge.parity.pictures import blends, extremes, synthetic
from anomedge.parity.reference import GoldenOutputs, Original
from anomedge.pipelines.model import Model

__all__ = ["nothing_compared", "pictures_of", "reference_from_model"]

BLENDS = 20


def pictures_of(
    folders: Sequence[Path], frame: tuple[int, int]
) -> list[Picture]:
    """Return the pictures of the given folders; synthetic ones without folders."""
    return read_folders(folders) if folders else synthetic(frame)


def reference_from_model(
    model: Model,
    path: Path,
    pictures: Sequence[Picture],
    frame: tuple[int, int],
    blended: int = BLENDS,
    bundle: Bundle | None = None,
) -> Reference:
    """Run eager Torch on the pictures, on extreme frames and on blends near the threshold.

    Args:
        model: the fitted detector.
        path: its file, for messages.
        pictures: pictures to compare on; other sizes are stretched to the frame, for reference and copies alike.
        frame: height and width.
        blended: how many blends to look for.
        bundle: the bundle to prove; its local threshold is applied, and its golden frames are run as well.
    """
    local = bundle.local if bundle is not None else None
    decision = (
        local.applied_to(model.decision)
        if local is not None
        else model.decision
    )
    with EagerSession(model, path) as eager:
        given = [*pictures, *extremes(frame)]
        outputs = collect(eager, given, frame, batch=1)
        mixed = blends(
            given,
            outputs.score,
            decision,
            frame,
            lambda x: eager.run({FRAMES: x})["score"],
            blended,
        )
        if (
            pictures
            and any(picture.path is not None for picture in pictures)
            and len(mixed) < blended
        ):
            warnings.warn(
                f"got {len(mixed)} pictures blended to the threshold; expected {blended}: give pictures on both sides of "
                f"it, normal and anomalous ones",
                stacklevel=2,
            )
        if mixed:
            outputs = _joined(outputs, collect(eager, mixed, frame, batch=1))
        everything = [*given, *mixed]
        stages = {
            i: eager.stages(everything[i].frame(frame)[None])
            for i in places_with_stages(everything)
        }
        golden = (
            _on_golden_frames(eager, bundle, frame)
            if bundle is not None and bundle.manifest.golden
            else None
        )
    return Reference(
        source=eager.name,
        pictures=everything,
        outputs=outputs,
        stages=stages,
        fitted=sum(picture.digest in model.card.fitted for picture in pictures),
        resized=sum(
            picture.path is not None and picture.frame().shape[:2] != frame
            for picture in pictures
        ),
        original=Original(
            model.digest,
            model.decision,
            model.geometry,
            model.card.licence,
            golden,
        ),
    )


def nothing_compared(model: Model) -> Reference:
    """Return a reference of the model file without pictures, for a bundle that no runtime can open."""
    original = Original(
        model.digest, model.decision, model.geometry, model.card.licence
    )
    return Reference(
        EagerSession.name,
        [],
        Outputs(np.empty(0), np.empty((0, 1, 1, 1))),
        original=original,
    )


def _on_golden_frames(
    eager: EagerSession, bundle: Bundle, frame: tuple[int, int]
) -> GoldenOutputs:
    """Run the bundle's golden frames through eager Torch on this machine."""
    stored = read_golden(bundle)
    outputs = collect(eager, stored.pictures, frame, batch=1)
    stages = {
        i: eager.stages(stored.pictures[i].frame(frame)[None])
        for i in stored.stages
    }
    return GoldenOutputs(
        Reference(eager.name, stored.pictures, outputs, stages), stored
    )


def _joined(one: Outputs, other: Outputs) -> Outputs:
    return Outputs(
        np.concatenate([one.score, other.score]),
        np.concatenate([one.anomaly_map, other.anomaly_map]),
    )
