"""Thresholds on raw scores: the decision of a detector, where its thresholds come from, and the normal pictures' distributions."""

from anomedge.threshold.decision import (
    FLOOR,
    Cut,
    Decision,
    Scores,
    by_f1,
    by_false_alarm_rate,
    interval_of_rate,
    least_gap,
    scale_of_each,
    sorted_scores,
    spread,
)
from anomedge.threshold.origin import (
    Origin,
    Sensitivity,
    SensitivityRow,
    TailFit,
)

__all__ = [
    "FLOOR",
    "Cut",
    "Decision",
    "Origin",
    "Scores",
    "Sensitivity",
    "SensitivityRow",
    "TailFit",
    "by_f1",
    "by_false_alarm_rate",
    "interval_of_rate",
    "least_gap",
    "scale_of_each",
    "sorted_scores",
    "spread",
]
