"""Import a file of another library as a model: read it, place its thresholds, state where everything came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from math import isfinite
from pathlib import Path
from typing import NamedTuple

import torch

from anomedge.errors import InputError, ModelError, RuntimeMissing
from anomedge.extras import install_advice
from anomedge.images import Picture, select_normal
from anomedge.interop.anomalib import (
    ForeignModel,
    Imported,
    StoredThresholds,
    Taken,
    native_of,
    read_foreign,
    thresholds_of,
)
from anomedge.interop.anomalib.with_anomalib import generic_of
from anomedge.interop.decision import HeldBack, Provenance
from anomedge.interop.planning import Chosen, plan_thresholds
from anomedge.names import printable, storable
from anomedge.pipelines.crossfit import Scorer, score_held_back
from anomedge.pipelines.decision import ThresholdSample
from anomedge.pipelines.model import (
    Card,
    Model,
    licences_of,
    tool_versions,
)
from anomedge.pipelines.splitting import refuse_unreadable

__all__ = ["ImportOptions", "ImportedFile", "import_file"]

_LEAST_PICTURES = 2


@dataclass(frozen=True)
class ImportOptions:
    """Options of an import.

    Args:
        detector: name of the detector, or of anomalib's class with `with_anomalib`; None: found by the file's tensors.
        size: (H, W) of the images, where the file does not state it.
        held_back: folder of normal pictures for the scale, and for the thresholds where there are none.
        normal: label of normal pictures in that folder, where it is not a known one.
        chosen: thresholds of the user.
        with_anomalib: build the model's class of an installed anomalib.
        batch: images per batch, when the pictures are scored.
        seed: seed of the synthetic defects on the pictures.
    """

    detector: str | None = None
    size: tuple[int, int] | None = None
    held_back: Path | None = None
    normal: str | None = None
    chosen: Chosen = field(default_factory=Chosen)
    with_anomalib: bool = False
    batch: int = 8
    seed: int = 0


class ImportedFile(NamedTuple):
    """An imported model, the source of everything in it, and the number of files left out of the folder, by reason."""

    model: Model
    taken: Taken
    left_out: dict[str, int]


def import_file(path: Path, options: ImportOptions) -> ImportedFile:
    """Import a file of anomalib: `.ckpt`, `.pt` or `.onnx`. No pickle is executed.

    Raises:
        InputError: no threshold, too few or unreadable pictures, or options that do not suit each other or the file.
        ModelError: a file that is damaged, hostile or of an unknown model.
        RuntimeMissing: `with_anomalib` without anomalib.
    """
    if options.with_anomalib:
        _require_anomalib()
    options.chosen.check(held_back=options.held_back is not None)
    pictures, left_out = _pictures(options)
    taken = Taken()
    with read_foreign(path) as foreign:
        plan = plan_thresholds(
            _thresholds(foreign, options, taken),
            _provenance(foreign),
            options.chosen,
            held_back=bool(pictures),
        )
        imported = _built(foreign, options, taken)
    has_map = _try_on_images(imported)
    if options.chosen.pixel_threshold is not None and not has_map:
        raise InputError(
            "got --pixel-threshold for a detector without an anomaly map; expected the threshold of the score alone: "
            "leave out --pixel-threshold"
        )
    held_back = _scored(imported, pictures, options)
    decision = plan.decision(held_back, imported.taken, has_map=has_map)
    imported.taken.add(
        "levels",
        "none: pictures of 8 bits per channel, as anomalib's",
        "computed",
    )
    model = Model(
        imported.pipeline.eval(),
        imported.geometry,
        decision,
        _card(imported, options),
    )
    return ImportedFile(model, imported.taken, left_out)


def _require_anomalib() -> None:
    if find_spec("anomalib") is None:
        raise RuntimeMissing(
            f"anomalib is not installed; expected it for --with-anomalib: {install_advice('anomalib')}"
        )


def _pictures(
    options: ImportOptions,
) -> tuple[list[Picture], dict[str, int]]:
    """Return the held-back pictures, checked, and the number of files left out, by reason."""
    if options.held_back is None:
        if options.normal is not None:
            raise InputError(
                "got --normal without --held-back; expected the folder whose normal pictures it names"
            )
        return [], {}
    found, left_out, _ = select_normal(
        options.held_back, options.normal, "test"
    )
    if len(found) < _LEAST_PICTURES:
        raise InputError(
            f"{options.held_back}: got {len(found)} held-back picture; expected at least {_LEAST_PICTURES}: give more"
        )
    if options.chosen.rule is not None:
        options.chosen.rule.require(len(found))
    refuse_unreadable(found)
    return found, left_out


def _thresholds(
    foreign: ForeignModel, options: ImportOptions, taken: Taken
) -> StoredThresholds:
    """Return the file's thresholds in the units of the scores of the detector that will be built."""
    if options.with_anomalib:
        return foreign.thresholds
    return thresholds_of(foreign, options.detector, taken)


def _built(
    foreign: ForeignModel, options: ImportOptions, taken: Taken
) -> Imported:
    """Build the detector while the file is open."""
    build = generic_of if options.with_anomalib else native_of
    return build(foreign, options.detector, options.size, taken)


def _scored(
    imported: Imported, pictures: Sequence[Picture], options: ImportOptions
) -> HeldBack | None:
    if not pictures:
        return None
    scorer = Scorer(imported.geometry, options.batch, options.seed)
    sample = ThresholdSample(pictures, [], "held back at the import")
    scored = score_held_back(imported.pipeline, pictures, [], scorer)
    return HeldBack(sample, scored)


def _try_on_images(imported: Imported) -> bool:
    """Run the detector on a grey image and on noise, and return whether it gives a map.

    Raises:
        ModelError: a score is not finite, as with damaged statistics or weights.
    """
    generator = torch.Generator().manual_seed(0)
    shape = (1, 3, *imported.geometry.image)
    images = {
        "a grey image": torch.full(shape, 0.5),
        "noise": torch.rand(shape, generator=generator),
    }
    has_map = False
    for name, image in images.items():
        with torch.no_grad():
            stages = imported.pipeline.stages(image)
        score = float(stages["score"][0])
        if not isfinite(score):
            raise ModelError(
                f"{printable(str(imported.foreign.path))}: got the score {score} of {name}; expected a finite one: "
                f"the weights or statistics are damaged, fit the model again"
            )
        has_map = "anomaly_map" in stages
    return has_map


def _provenance(foreign: ForeignModel) -> Provenance:
    """Return the file's name with its library; versions 1 of anomalib compare by >=, later ones by >."""
    name = printable(storable(foreign.path.name))[:200]
    return Provenance(
        f"{name} (anomalib {foreign.version})",
        inclusive=foreign.version.startswith("1."),
    )


def _card(imported: Imported, options: ImportOptions) -> Card:
    foreign = imported.foreign
    source = f"imported from {_provenance(foreign).name}"
    return Card(
        seed=options.seed,
        fitted=(),
        weights=source,
        tools=tool_versions(),
        licence=licences_of(
            imported.pipeline, f"{source}: as the owner of that file says"
        ),
        imported=foreign.digest,
        imported_beside=dict(foreign.beside),
    )
