"""Count the pictures of a proof by kind, and those of the user on each side of the threshold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from anomedge.parity.comparison import Comparison, margins_to
from anomedge.parity.pictures import BLENDED, EXTREME, LEVEL, SCALED, SYNTHETIC
from anomedge.parity.records import PictureCount
from anomedge.parity.reference import GOLDEN
from anomedge.parity.sizes import sizes_of
from anomedge.parity.subject import FrameDigest
from anomedge.resample.outside_resize import OutsideResize

__all__ = ["count_pictures"]


def count_pictures(
    comparison: Comparison, frames: Sequence[FrameDigest], masked: int
) -> PictureCount:
    """Count the pictures by kind.

    Args:
        comparison: the reference and the decisions.
        frames: digests of the reference's pictures.
        masked: number of pictures with a ground-truth mask.
    """
    reference = comparison.reference
    pictures = reference.pictures
    own = [
        frame
        for picture, frame in zip(pictures, frames, strict=True)
        if picture.generated is None
    ]
    labels = [picture.anomalous for picture in pictures]
    made = Counter(picture.generated for picture in pictures)
    nearest, above, below = _around_thresholds(comparison)
    return PictureCount(
        total=len(pictures),
        labelled=sum(label is not None for label in labels),
        anomalous=sum(label is True for label in labels),
        blended=made[BLENDED],
        levels=made[LEVEL],
        scaled=made[SCALED],
        sizes=_sizes_stated(comparison),
        extreme=made[EXTREME],
        synthetic=made[SYNTHETIC],
        fitted=reference.fitted,
        resized=reference.resized,
        distinct=sum(not (f.uniform or f.repeated) for f in own),
        nearest=nearest,
        above=above,
        below=below,
        masked=masked,
    )


def _sizes_stated(comparison: Comparison) -> tuple[str, ...]:
    """Return the sizes of the pictures where they may have any; none where all have the frame's."""
    if not isinstance(comparison.frame, OutsideResize):
        return ()
    return sizes_of(comparison.reference.pictures)


def _around_thresholds(
    comparison: Comparison,
) -> tuple[float | None, int, int]:
    """Return the distance of the nearest picture given, and the numbers of those above and below the threshold.

    Each is that of the threshold with the weakest evidence: the one in force, or the export's.
    """
    scores = _scores_given(comparison)
    if not scores.size:
        return None, 0, 0
    decisions = (comparison.decision, comparison.exported_decision)
    flags = [decision.is_anomalous(scores) for decision in decisions]
    return (
        max(float(margins_to(scores, each).min()) for each in decisions),
        min(int(above.sum()) for above in flags),
        min(int((~above).sum()) for above in flags),
    )


def _scores_given(comparison: Comparison) -> npt.NDArray[np.floating]:
    """Return the scores of the user's own pictures; of golden frames, of those that are blends as well."""
    reference = comparison.reference
    given = {None, BLENDED} if reference.source == GOLDEN else {None}
    places = [
        place
        for place, picture in enumerate(reference.pictures)
        if picture.generated in given
    ]
    return np.asarray(reference.outputs.score[places])
