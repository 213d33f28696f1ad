"""AUROC of scores and intersection over union of masks, with NumPy only."""

import numpy as np
import numpy.typing as npt

__all__ = ["auroc", "mask_iou"]


def auroc(scores: npt.ArrayLike, anomalous: npt.ArrayLike) -> float | None:
    """Return the area under the ROC curve; None without both classes.

    It is computed from ranks, with ties shared (Mann and Whitney 1947), so that
    scores may have any magnitude.

    >>> auroc([30.0, 31.0, 32.0, 33.0], [False, True, False, True])
    0.75
    """
    values = np.asarray(scores, dtype=np.float64).ravel()
    labels = np.asarray(anomalous, dtype=np.bool_).ravel()
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
    """Return the intersection over union of two masks; 1 if both are empty.

    >>> mask_iou([True, True, False], [True, False, False])
    0.5
    """
    a, b = np.asarray(one, dtype=np.bool_), np.asarray(other, dtype=np.bool_)
    union = int((a | b).sum())
    return 1.0 if union == 0 else int((a & b).sum()) / union
