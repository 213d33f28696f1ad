"""Evaluate a detector on labelled pictures: AUROC, F1, AUPRO and more, each with its counts and its interval."""

from anomedge.evaluation.evaluate import Judged, evaluate
from anomedge.evaluation.records import (
    Column,
    Evaluation,
    Figure,
    KindFigures,
    LevelFigures,
    PictureTotals,
    Rate,
)

__all__ = [
    "Column",
    "Evaluation",
    "Figure",
    "Judged",
    "KindFigures",
    "LevelFigures",
    "PictureTotals",
    "Rate",
    "evaluate",
]
