"""Quantise a float model for an INT8 bundle, and write the quantised model file."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from anomedge.bundle.quantised import QuantisedNetworks
from anomedge.errors import InputError, ModelError, OutputError
from anomedge.export.options import ExportOptions, Int8Options
from anomedge.files import atomic_file
from anomedge.images import Picture, read_folders, with_levels
from anomedge.pipelines.model import Model, load, save
from anomedge.pipelines.quantised.options import Budget, QuantiseOptions
from anomedge.pipelines.quantised.quantise import quantise
from anomedge.precisions import PRECISIONS

__all__ = [
    "UnstableLevelsWarning",
    "assert_quantised",
    "int8_path",
    "quantised_model",
    "statement",
]

_LEAST_SHARE = 0.9
_STEADY_SHARE = 0.25
"""Effect of rounding to aim at, as a share of the tolerance: pictures of a proof showed up to 3 times the measured effect."""


class UnstableLevelsWarning(UserWarning):
    """Rounding has an effect near the tolerance of the proof."""


def int8_path(path: Path) -> Path:
    """Return the file of the quantised model.

    >>> int8_path(Path("models/part.safetensors")).name
    'part.int8.safetensors'
    """
    return path.with_name(f"{path.stem}.int8.safetensors")


@contextmanager
def quantised_model(
    model: Model, path: Path, options: ExportOptions
) -> Iterator[tuple[Model, Path]]:
    """Yield the model to export and its file.

    A float model is quantised if the precision asks for it; its file is published when the block succeeds. Other models
    are yielded as they are.

    Args:
        model: the model.
        path: its file.
        options: the export.

    Raises:
        InputError: calibration pictures are missing or are not those of the fit.
        ModelError: a quantised model in another precision.
        OutputError: the file exists, without `force`.
        ProofFailed: no choice of layers keeps the decisions.
    """
    wanted = any(
        PRECISIONS.get(name).quantised_networks for name in options.precisions
    )
    if not wanted or model.quantisation is not None:
        _refuse_other_precision(model, path, options, wanted)
        yield model, path
        return
    if options.int8 is None:
        raise InputError(
            f"got the float model {path} for precision int8 without calibration pictures; expected the normal pictures "
            f"that it was fitted to: give their folder with --calibrate"
        )
    target = int8_path(path)
    _refuse_existing(target, options.force)
    chosen = _pictures(model, options.int8, options)
    with atomic_file(target, force=options.force) as temporary:
        quantised = quantise(model, chosen)
        _warn_of_rounding(quantised, options.widen)
        save(quantised, temporary, force=True)
        yield load(temporary, backbone=options.backbone), target


def statement(model: Model) -> QuantisedNetworks | None:
    """Return what the manifest states about a quantised model; None for a float one."""
    record = model.quantisation
    if record is None:
        return None
    return QuantisedNetworks(
        float_model=record.float_model,
        quantised=sum(map(len, record.scales.values())),
        kept=record.kept,
        pictures=record.pictures,
        refitted=record.refitted,
        compared=record.compared,
        flips=record.flips,
        auroc_drop=record.auroc_drop,
        rounding=record.rounding,
    )


def assert_quantised(model: Model, precisions: Sequence[str]) -> None:
    """Refuse a float detector in a precision with quantised networks, which would be proven with its wide tolerance.

    Raises:
        InputError: the networks are not quantised.
    """
    wanted = [
        name for name in precisions if PRECISIONS.get(name).quantised_networks
    ]
    if wanted and model.quantisation is None:
        raise InputError(
            f"got a detector with float networks for precision {wanted[0]}; expected quantised ones: export a model file "
            f"with --calibrate, or choose fp32"
        )


def _warn_of_rounding(model: Model, widen: float) -> None:
    """Warn before the proof of a detector that rounding alone brings near the tolerance."""
    record = model.quantisation
    allowed = _allowed(widen)
    if record is None or record.rounding <= allowed / 2:
        return
    warnings.warn(
        f"float32 rounding moves values of the quantised networks to the next level and maps or scores by "
        f"{record.rounding:.2g} of the scale; expected at most {allowed / 2:.2g}, half of the tolerance, or the proof may "
        f"fail: fit to more varied pictures, export in fp16, or give a larger --widen",
        UnstableLevelsWarning,
        stacklevel=2,
    )


def _allowed(widen: float) -> float:
    """Return the tolerance of the proof for maps."""
    return widen * PRECISIONS.get("int8").tolerance.map


def _steady(widen: float) -> float:
    """Return by how much rounding should move maps and scores at most."""
    return _STEADY_SHARE * _allowed(widen)


def _refuse_existing(target: Path, force: bool) -> None:
    """Refuse to quantise a second time: for another frame size the quantised model is exported again.

    Raises:
        OutputError: the file exists, without `force`.
    """
    if os.path.lexists(target) and not force:
        raise OutputError(
            f"{target} exists; expected no earlier quantisation: export that file without --calibrate, for another frame size "
            f"say, or give --force to quantise again and replace it"
        )


def _refuse_other_precision(
    model: Model, path: Path, options: ExportOptions, wanted: bool
) -> None:
    if model.quantisation is None:
        return
    if not wanted:
        raise ModelError(
            f"{path} holds quantised networks; expected --precision int8 for it, or the float model for "
            f"{', '.join(options.precisions)}"
        )
    if options.int8 is not None:
        raise InputError(
            f"got calibration pictures for {path}, which is quantised already; expected none: leave out --calibrate, or "
            f"give the float model"
        )


def _pictures(
    model: Model, int8: Int8Options, options: ExportOptions
) -> QuantiseOptions:
    """Read the pictures and check that they are those of the fit.

    Raises:
        InputError: fewer than 90 % of the fitted pictures are among them, and the statistics would be estimated from them;
            or pictures that the quantisation has no use for.
    """

    def read(folders: Sequence[Path]) -> list[Picture]:
        if not folders:
            return []
        return with_levels(read_folders(folders, options.normal), model.levels)

    calibrate = _normal(read(int8.calibrate))
    refit_on = _normal(read(int8.refit_on))
    labelled = read(int8.labelled)
    _refuse_without_use(model, int8, refit_on, labelled)
    if int8.refit and not refit_on and model.pipeline.has_statistics:
        _refuse_other_pictures(model, calibrate)
        # Further pictures would change the statistics, and with them decisions, as no quantisation does.
        refit_on = _of_the_fit(calibrate, model.card.fitted)
    return QuantiseOptions(
        calibrate,
        refit_on=refit_on,
        labelled=labelled,
        proven=_others(read(options.golden), [*calibrate, *labelled]),
        refit=int8.refit,
        budget=Budget(
            int8.most_flips, int8.most_auroc_drop, _steady(options.widen)
        ),
    )


def _others(
    pictures: Iterable[Picture], known: Iterable[Picture]
) -> list[Picture]:
    """Return the pictures that are not among known ones."""
    digests = {picture.digest for picture in known}
    return [each for each in pictures if each.digest not in digests]


def _normal(pictures: Iterable[Picture]) -> list[Picture]:
    """Return the pictures that are not labelled as anomalous."""
    return [each for each in pictures if each.anomalous is not True]


def _of_the_fit(
    pictures: Iterable[Picture], fitted: Iterable[str]
) -> list[Picture]:
    """Return the pictures of the fit, each as often as it was fitted to: folders may overlap."""
    left = Counter(fitted)
    found = []
    for picture in pictures:
        if left[str(picture.digest)]:
            left[str(picture.digest)] -= 1
            found.append(picture)
    return found


def _refuse_without_use(
    model: Model,
    int8: Int8Options,
    refit_on: Sequence[Picture],
    labelled: Sequence[Picture],
) -> None:
    """Refuse options that would have no effect.

    Raises:
        InputError: `refit_on` for a detector without statistics or without a normal picture, or `labelled` without labels.
    """
    if int8.refit_on and not model.pipeline.has_statistics:
        raise InputError(
            f"got pictures to estimate the statistics of {model.pipeline.name} from, which has none; expected "
            f"--calibrate alone: leave out --refit-on"
        )
    if int8.refit_on and not refit_on:
        raise InputError(
            "got no normal picture to estimate the statistics from; expected some: give a folder of normal pictures with "
            "--refit-on"
        )
    if labelled and all(each.anomalous is None for each in labelled):
        raise InputError(
            f"got {len(labelled)} pictures without labels as labelled ones; expected labels: give a folder with `good` and "
            f"other folders, or a list, with --labelled"
        )


def _refuse_other_pictures(model: Model, given: Sequence[Picture]) -> None:
    advice = (
        "give all of them with --calibrate, keep the statistics with --quantise-only, or estimate them from other "
        "pictures with --refit-on DIR"
    )
    if model.card.known is None:
        raise InputError(
            f"got an imported model, whose pictures are unknown; expected a choice for its statistics: {advice}"
        )
    fitted = set(model.card.fitted)
    found = len(fitted & {picture.digest for picture in given})
    if found < _LEAST_SHARE * len(fitted):
        raise InputError(
            f"got {found} of the {len(fitted)} pictures that the model was fitted to; expected at least "
            f"{_LEAST_SHARE:.0%} of them, or the detector would be one of fewer pictures: {advice}"
        )
