"""How well scores rank anomalous above normal, and how far two masks overlap; numpy only, for devices."""

import numpy as np
import numpy.typing as npt

__all__ = ["auroc", "mask_iou"]


def auroc(scores: npt.ArrayLike, anomalous: npt.ArrayLike) -> float | None:
    """Area under the ROC curve, by ranks with ties shared (Mann and Whitney 1947); None without both classes.

    Scores may be of any size: only their order counts.

    >>> auroc([30.0, 31.0, 32.0, 33.0], [False, True, False, True])
    0.75
    """
    values, labels = (
        np.asarray(scores, dtype=np.float64).ravel(),
        np.asarray(anomalous, dtype=np.bool_).ravel(),
    )
    positive = int(labels.sum())
    negative = labels.size - positive
    if positive == 0 or negative == 0:
        return None
    _, place, counts = np.unique(
        values, return_inverse=True, return_counts=True
    )
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    wins = float(ranks[labels].sum()) - positive * (positive + 1) / 2
    return wins / (positive * negative)


def mask_iou(one: npt.ArrayLike, other: npt.ArrayLike) -> float:
    """Intersection over union of two masks; 1 when both are empty.

    >>> mask_iou([True, True, False], [True, False, False])
    0.5
    """
    a, b = np.asarray(one, dtype=np.bool_), np.asarray(other, dtype=np.bool_)
    union = int((a | b).sum())
    return 1.0 if union == 0 else int((a & b).sum()) / union
