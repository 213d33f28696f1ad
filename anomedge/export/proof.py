"""Reference of a proof on the host: pictures, their results in eager Torch, and blends near the threshold."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from anomedge.bundle import Bundle
from anomedge.bundle.ranges import Range
from anomedge.errors import ExportError
from anomedge.export.blending import BlendMaker
from anomedge.export.eager import EagerSession
from anomedge.export.eager_runs import EagerRuns
from anomedge.export.precision.preflight import preflight
from anomedge.export.quantising import statement
from anomedge.images import Picture, held, read_folders, with_levels
from anomedge.parity import Reference
from anomedge.parity.golden import places_with_stages, read_golden
from anomedge.parity.outputs import Outputs, joined
from anomedge.parity.pictures import EXTREME, extremes, synthetic
from anomedge.parity.reference import GoldenOutputs, Original
from anomedge.parity.statements import needs_ranges
from anomedge.pipelines.folded_networks import folded_networks
from anomedge.pipelines.model import Model
from anomedge.resample.levels import Levels
from anomedge.resample.outside_resize import (
    Framing,
    generated_size,
    stated_size,
)
from anomedge.threshold import Decision

__all__ = ["nothing_compared", "pictures_of", "reference_from_model"]

BLENDS = 20
_PICTURES_FOR_RANGES = 8


def pictures_of(
    folders: Sequence[Path],
    framing: Framing,
    levels: Levels | None = None,
    normal: str | None = None,
) -> list[Picture]:
    """Return the pictures of the given folders, read with levels; synthetic ones without folders."""
    if folders:
        return with_levels(read_folders(folders, normal), levels)
    return synthetic(generated_size(framing))


def reference_from_model(
    model: Model,
    path: Path,
    pictures: Sequence[Picture],
    framing: Framing,
    blended: int = BLENDS,
    bundle: Bundle | None = None,
    seed: int = 0,
) -> Reference:
    """Run eager Torch on the pictures, on extreme frames and on blends near the threshold and at other levels.

    Args:
        model: the fitted detector.
        path: its file, for messages.
        pictures: pictures to compare on; other sizes than the frame's are stretched to it, for reference and copies.
        framing: how they become the graph's input; eager Torch resizes by itself.
        blended: how many blends to look for.
        bundle: the bundle to prove; blends are made at its local threshold as well, and its golden frames are run.
        seed: of the levels; a proof's, so that no bundle can know them.
    """
    frame, generated = stated_size(framing), generated_size(framing)
    with EagerSession(model, path) as eager:
        runs = EagerRuns(eager, frame)
        given = [*held(pictures), *extremes(generated)]
        staged = places_with_stages(given)
        outputs = runs.of_pictures(given, eager.name, staged)
        decisions = _decisions(model, bundle)
        maker = BlendMaker(
            given, outputs.score, decisions, framing, runs.of_frames
        )
        found = maker.at_thresholds(blended)
        _warn_of_few_blends(pictures, len(found), blended * len(decisions))
        if blended:
            found += maker.at_levels(seed)
        found += maker.in_other_sizes(seed)
        for blend in found:
            runs.keep(*blend)
        outputs = joined([outputs, *(blend.outputs for blend in found)])
        compared = [*given, *(blend.picture for blend in found)]
        stages = runs.stages(compared, places_with_stages(compared))
        golden = _on_golden_frames(runs, bundle)
    ranges = _ranges(model, given, bundle)
    return Reference(
        source=eager.name,
        pictures=compared,
        outputs=outputs,
        stages=stages,
        fitted=_count_fitted(model, pictures),
        resized=_count_resized(given, frame),
        original=_original(model, golden, ranges),
    )


def nothing_compared(model: Model) -> Reference:
    """Return a reference of the model file without pictures, for a bundle that no runtime can open."""
    return Reference(
        EagerSession.name,
        [],
        Outputs(np.empty(0)),
        original=_original(model, None),
    )


def _original(
    model: Model,
    golden: GoldenOutputs | None,
    ranges: tuple[Range, ...] | None = None,
) -> Original:
    return Original(
        model.digest,
        model.decision,
        model.geometry,
        model.card.licence,
        golden,
        model.levels,
        ranges,
        statement(model),
    )


def _ranges(
    model: Model, pictures: Sequence[Picture], bundle: Bundle | None
) -> tuple[Range, ...] | None:
    """Return the value ranges for float16 on some pictures and all extreme ones; None for a bundle without any.

    A model without such ranges gives none, which then differ from the bundle's.
    """
    if bundle is None or not needs_ranges(bundle.manifest):
        return None
    own = [p for p in pictures if p.generated != EXTREME]
    extreme = [p for p in pictures if p.generated == EXTREME]
    batch = bundle.manifest.input.batch
    fixed = None if batch == "dynamic" else int(batch)
    try:
        return preflight(
            model,
            folded_networks(model.pipeline, model.geometry, fixed),
            [*own[:_PICTURES_FOR_RANGES], *extreme],
            stated_size(bundle.manifest.framing),
            fixed,
        )
    except ExportError:
        return ()


def _decisions(model: Model, bundle: Bundle | None) -> list[Decision]:
    """Return the model's decision, and the one in force where a local threshold changes it.

    Both have blends: a file beside a bundle must not move them away from the threshold of the export.
    """
    exported = model.decision
    local = bundle.local if bundle is not None else None
    in_force = exported if local is None else local.applied_to(exported)
    if in_force.threshold == exported.threshold:
        return [exported]
    return [exported, in_force]


def _warn_of_few_blends(
    pictures: Sequence[Picture], found: int, expected: int
) -> None:
    has_files = any(picture.path is not None for picture in pictures)
    if has_files and found < expected:
        warnings.warn(
            f"got {found} pictures blended to the threshold; expected {expected}: give pictures on both sides of "
            f"it, normal and anomalous ones",
            stacklevel=3,
        )


def _count_fitted(model: Model, pictures: Sequence[Picture]) -> int:
    return sum(picture.digest in model.card.fitted for picture in pictures)


def _count_resized(
    pictures: Sequence[Picture], frame: tuple[int, int] | None
) -> int:
    if frame is None:
        return 0
    files = [picture for picture in pictures if picture.path is not None]
    return sum(picture.frame().shape[:2] != frame for picture in files)


def _on_golden_frames(
    runs: EagerRuns, bundle: Bundle | None
) -> GoldenOutputs | None:
    """Run a bundle's golden frames through eager Torch on this machine; None without any."""
    if bundle is None or not bundle.manifest.golden:
        return None
    stored = read_golden(bundle)
    outputs = runs.of_pictures(
        stored.pictures, "golden frames", stored.stages.keys()
    )
    stages = runs.stages(stored.pictures, list(stored.stages))
    reference = Reference(runs.eager.name, stored.pictures, outputs, stages)
    return GoldenOutputs(reference, stored)
