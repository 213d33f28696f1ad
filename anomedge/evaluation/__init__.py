"""Evaluate a detector on labelled pictures: AUROC, F1, AUPRO and more, each with its counts and its interval."""

from anomedge.evaluation.detectors import Judgement, Options
from anomedge.evaluation.evaluate import EvaluationRun, Judged, evaluate
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
    "EvaluationRun",
    "Figure",
    "Judged",
    "Judgement",
    "KindFigures",
    "LevelFigures",
    "Options",
    "PictureTotals",
    "Rate",
    "evaluate",
]
