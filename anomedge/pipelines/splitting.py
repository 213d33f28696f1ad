"""Split pictures into those that a detector is fitted to and those that place its threshold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from anomedge.errors import InputError
from anomedge.images import Picture, read_folder, read_normal
from anomedge.pipelines.crossfit import assign_folds
from anomedge.pipelines.decision import ThresholdSample

__all__ = ["Split", "split_pictures"]

Split = tuple[list[Picture], ThresholdSample]


def split_pictures(
    folder: Path,
    *,
    held_back: Path | None,
    labelled: Path | None,
    holdout: float | None,
    folds: int,
    seed: int,
) -> Split:
    """Return the pictures to fit to and the sample that places the threshold.

    Args:
        folder: normal pictures to fit to.
        held_back: folder of normal pictures for the threshold; None: pictures of `folder`.
        labelled: folder of normal and anomalous pictures for the threshold, in place of `held_back`.
        holdout: share of `folder` held back, in (0, 1); None: all its pictures are fitted to, and scored in folds.
        folds: number of folds.
        seed: seed of the random split.

    Raises:
        InputError: too few pictures, one that is in both parts, or folders that do not suit each other.
    """
    if held_back is not None and labelled is not None:
        raise InputError(
            "got held-back and labelled pictures; expected one of them to place the threshold by"
        )
    pictures = read_normal(folder)
    if labelled is not None:
        good, bad = _labelled(labelled)
        fitted = pictures
        sample = ThresholdSample(good, bad, "labelled pictures")
    elif held_back is not None:
        fitted = pictures
        normal = read_normal(held_back)
        sample = ThresholdSample(normal, [], "pictures given for it")
    elif holdout is None:
        fitted = pictures
        sample = _cross_fitted(folder, pictures, folds, seed)
    else:
        fitted, held = _random_split(pictures, holdout, seed)
        source = f"{holdout:g} of the fitting folder"
        sample = ThresholdSample(held, [], source)
    _check_counts(folder, fitted, sample)
    if labelled is None and not sample.folds:
        _refuse_overlap(fitted, sample.normal)
    return fitted, sample


def _cross_fitted(
    folder: Path, pictures: Sequence[Picture], folds: int, seed: int
) -> ThresholdSample:
    """Return all pictures in folds; each fold is scored by a detector fitted to the others."""
    assigned = assign_folds(pictures, folds, seed)
    rest = len(pictures) - max(map(len, assigned))
    if len(pictures) < 4 or rest < 2:
        raise InputError(
            f"{folder}: got {len(pictures)} pictures, of which {rest} differ from the others in turn; "
            f"expected at least 2 to fit to beside 2 that place the threshold: give more"
        )
    source = f"the fitting folder, in {len(assigned)} folds"
    return ThresholdSample(pictures, [], source, assigned)


def _random_split(
    pictures: Sequence[Picture], holdout: float, seed: int
) -> tuple[list[Picture], list[Picture]]:
    """Hold back a share of the pictures, at least two."""
    if not 0 < holdout < 1:
        raise InputError(
            f"got a holdout of {holdout}; expected a share between 0 and 1, such as 0.2"
        )
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(pictures), generator=generator).tolist()
    count = max(2, round(len(pictures) * holdout))
    held = [pictures[i] for i in sorted(order[:count])]
    fitted = [pictures[i] for i in sorted(order[count:])]
    return fitted, held


def _labelled(folder: Path) -> tuple[list[Picture], list[Picture]]:
    """Read the normal and the anomalous pictures of a labelled folder; require at least one of each."""
    pictures = read_folder(folder)
    good = [picture for picture in pictures if picture.anomalous is False]
    bad = [picture for picture in pictures if picture.anomalous]
    if not good or not bad:
        raise InputError(
            f"{folder}: got {len(good)} normal, {len(bad)} anomalous; expected `good` and others"
        )
    return good, bad


def _check_counts(
    folder: Path, fitted: Sequence[Picture], sample: ThresholdSample
) -> None:
    held = 0 if sample.anomalous else len(sample.normal)
    if not sample.anomalous and held < 2:
        raise InputError(
            f"got {held} held-back picture; expected at least 2 to place a threshold: give more"
        )
    if len(fitted) < 2:
        raise InputError(
            f"{folder}: got {len(fitted)} pictures to fit to ({held} held back); expected at least 2: give more"
        )


def _refuse_overlap(
    fitted: Sequence[Picture], held_back: Sequence[Picture]
) -> None:
    """Refuse to place the threshold by pictures that are fitted to: their scores are too low."""
    known = {picture.digest for picture in fitted}
    shared = [picture.name for picture in held_back if picture.digest in known]
    if shared:
        raise InputError(
            f"got {len(shared)} held-back pictures that are fitted on as well, {shared[0]} first; expected others: "
            f"keep the two folders apart, and every picture once"
        )
