"""Split pictures into those that a detector is fitted to and those that place its threshold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch

from anomedge.errors import InputError
from anomedge.images import (
    Picture,
    check_picture,
    read_data_set,
    select_normal,
    with_levels,
)
from anomedge.images.datasets.base import ANOMALOUS, OTHER_SPLIT
from anomedge.names import indented
from anomedge.pipelines.crossfit import assign_folds
from anomedge.pipelines.decision import ThresholdSample
from anomedge.pipelines.sensitivity import LEAST_PICTURES
from anomedge.progress import track
from anomedge.resample.levels import Levels

__all__ = ["Split", "held_back_of", "refuse_unreadable", "split_pictures"]

_LEAST = 4
_EXPECTED = (
    "expected at least 4, 2 to fit to beside 2 that place the threshold: give more, or other normal pictures with "
    "--held-back"
)


class Split(NamedTuple):
    """Pictures of a fit.

    Attributes:
        fitted: normal pictures that the detector is fitted to.
        sample: pictures that place the threshold.
        left_out: number of files left out, by reason, over all folders given.
        unlabelled: number of fitted pictures by folder, if none has a label; empty for a plain folder.
    """

    fitted: list[Picture]
    sample: ThresholdSample
    left_out: dict[str, int]
    unlabelled: dict[str, int]


def split_pictures(
    folder: Path,
    *,
    held_back: Path | None,
    labelled: Path | None,
    holdout: float | None,
    folds: int,
    seed: int,
    normal: str | None = None,
    levels: Levels | None = None,
) -> Split:
    """Return the pictures to fit to and the sample that places the threshold; check that all of them can be read.

    Args:
        folder: normal pictures to fit to; of a data set with splits, those of `train`.
        held_back: folder of normal pictures for the threshold; None: pictures of `folder`.
        labelled: folder of normal and anomalous pictures for the threshold, in place of `held_back`.
        holdout: share of `folder` held back, in (0, 1); None: by `folds`.
        folds: number of folds; all pictures are fitted to, and scored in folds. 0: hold back the number of `held_back_of`.
        seed: seed of the random split.
        normal: label of normal pictures in the folders, where it is not a known one.
        levels: levels of pictures with more than 8 bits per channel.

    Raises:
        InputError: too few pictures, one that is in both parts or cannot be read, labels that are not understood, or
            folders and shares that do not suit each other.
    """
    if held_back is not None and labelled is not None:
        raise InputError(
            "got held-back and labelled pictures; expected one of them to place the threshold by"
        )
    fitted, left_out, unlabelled = select_normal(folder, normal)
    if labelled is not None:
        good, bad = _labelled(labelled, normal)
        sample = ThresholdSample(good, bad, "labelled pictures")
        if labelled == folder:
            left_out = _without_used(left_out, len(good) + len(bad), {})
    elif held_back is not None:
        held, more, _ = select_normal(held_back, normal, "test")
        if held_back == folder:
            left_out = _without_used(left_out, len(held), more)
        else:
            left_out = dict(Counter(left_out) + Counter(more))
        sample = ThresholdSample(held, [], "pictures given for it")
    elif holdout is None and folds:
        sample = _cross_fitted(folder, fitted, folds, seed)
    else:
        count, source = _held_count(len(fitted), holdout)
        fitted, held = _random_split(fitted, count, seed)
        sample = ThresholdSample(held, [], source)
    is_own = held_back is None and labelled is None and not sample.folds
    _check_counts(folder, fitted, sample, is_own=is_own)
    fitted = with_levels(fitted, levels)
    sample = replace(
        sample,
        normal=with_levels(sample.normal, levels),
        anomalous=with_levels(sample.anomalous, levels),
    )
    if sample.folds:
        refuse_unreadable(fitted)
        return Split(fitted, sample, left_out, unlabelled)
    refuse_unreadable([*fitted, *sample.normal, *sample.anomalous])
    _refuse_overlap(fitted, sample)
    return Split(fitted, sample, left_out, unlabelled)


def _without_used(
    left_out: Mapping[str, int], used: int, more: Mapping[str, int]
) -> dict[str, int]:
    """Return what is left out of a data set of which another split places the threshold.

    Args:
        left_out: files left out of the fit, by reason.
        used: pictures of the other split that place the threshold.
        more: files left out of the other split, by reason.
    """
    anomalous = more.get(ANOMALOUS, 0)
    counts = Counter(left_out)
    counts[ANOMALOUS] += anomalous
    counts[OTHER_SPLIT] -= used + anomalous
    return dict(+counts)


def _cross_fitted(
    folder: Path, pictures: Sequence[Picture], folds: int, seed: int
) -> ThresholdSample:
    """Return all pictures in folds; each fold is scored by a detector fitted to the others."""
    assigned = assign_folds(pictures, folds, seed)
    rest = len(pictures) - max(map(len, assigned))
    if len(pictures) < _LEAST or rest < 2:
        different = len({p.digest or i for i, p in enumerate(pictures)})
        is_repeated = different < len(pictures)
        copies = f", {different} different" if is_repeated else ""
        raise InputError(
            f"{folder}: got {len(pictures)} pictures{copies}; {_EXPECTED}"
        )
    source = f"the fitting folder, in {len(assigned)} folds"
    return ThresholdSample(pictures, [], source, assigned)


def held_back_of(pictures: int) -> int:
    """Return how many of a detector's pictures are held back by default.

    A fifth, at least two. From 30 pictures on at least ten: with fewer there are no synthetic defects, and one unusual
    picture may lift the threshold above every defect.

    >>> [held_back_of(pictures) for pictures in (4, 20, 30, 100)]
    [2, 4, 10, 20]
    """
    least = LEAST_PICTURES if pictures >= 3 * LEAST_PICTURES else 2
    return max(least, round(0.2 * pictures))


def _held_count(pictures: int, holdout: float | None) -> tuple[int, str]:
    """Return how many pictures are held back, and the words for the manifest."""
    if holdout is None:
        count = held_back_of(pictures)
        return count, f"{count} of {pictures} pictures of the fitting folder"
    if not 0 < holdout < 1:
        raise InputError(
            f"got a holdout of {holdout}; expected a share between 0 and 1, such as 0.2"
        )
    count = max(2, round(pictures * holdout))
    return count, f"{holdout:g} of the fitting folder"


def _random_split(
    pictures: Sequence[Picture], count: int, seed: int
) -> tuple[list[Picture], list[Picture]]:
    """Hold back some of the pictures."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(pictures), generator=generator).tolist()
    held = [pictures[i] for i in sorted(order[:count])]
    fitted = [pictures[i] for i in sorted(order[count:])]
    return fitted, held


def _labelled(
    folder: Path, normal: str | None
) -> tuple[list[Picture], list[Picture]]:
    """Read the normal and the anomalous pictures of a labelled folder; require at least one of each."""
    pictures = read_data_set(folder, normal).labelled()
    good = [picture for picture in pictures if picture.anomalous is False]
    bad = [picture for picture in pictures if picture.anomalous]
    if not good or not bad:
        raise InputError(
            f"{folder}: got {len(good)} normal, {len(bad)} anomalous; expected `good` and others: "
            f"name the label of the normal ones with --normal-label"
        )
    return good, bad


def _check_counts(
    folder: Path,
    fitted: Sequence[Picture],
    sample: ThresholdSample,
    *,
    is_own: bool,
) -> None:
    """Check the numbers of pictures; `is_own` tells whether those of the sample were held back from the folder."""
    held = 0 if sample.anomalous else len(sample.normal)
    if is_own and len(fitted) + held < _LEAST:
        raise InputError(
            f"{folder}: got {len(fitted) + held} pictures; {_EXPECTED}"
        )
    if not sample.anomalous and held < 2:
        raise InputError(
            f"got {held} held-back picture; expected at least 2 to place a threshold: give more"
        )
    if len(fitted) < 2:
        raise InputError(
            f"{folder}: got {len(fitted)} pictures to fit to ({held} held back); expected at least 2: give more"
        )


def _check_file(picture: Picture) -> None:
    if picture.path is not None:
        check_picture(picture.path, picture.levels)


def refuse_unreadable(
    pictures: Sequence[Picture], check: Callable[[Picture], None] = _check_file
) -> None:
    """Check every picture before the fit, which may take long.

    Raises:
        InputError: `check` refuses some; the message has its errors.
    """
    faults = []
    for picture in track(pictures, "checking pictures", total=len(pictures)):
        try:
            check(picture)
        except InputError as error:
            faults.append(error)
    if len(faults) == 1:
        raise faults[0]
    if faults:
        raise InputError(
            f"{len(faults)} of {len(pictures)} pictures cannot be used; expected all of them: repair, convert or move "
            f"these away:{indented([str(fault) for fault in faults])}"
        )


def _refuse_overlap(fitted: Sequence[Picture], sample: ThresholdSample) -> None:
    """Refuse to place the threshold by pictures that are fitted to: their scores are too low."""
    kind = "labelled" if sample.anomalous else "held-back"
    known = {picture.digest for picture in fitted}
    pictures = [*sample.normal, *sample.anomalous]
    shared = [picture.name for picture in pictures if picture.digest in known]
    if shared:
        raise InputError(
            f"got {len(shared)} {kind} pictures that are fitted on as well, {shared[0]} first; expected others: "
            f"keep the two folders apart, and every picture once"
        )
