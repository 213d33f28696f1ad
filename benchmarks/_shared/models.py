"""Models of pipelines without a fit, for measurements of their graphs."""

from anomedge.pipelines import Pipeline
from anomedge.pipelines.model import Card, Model
from anomedge.resample import Geometry
from anomedge.threshold import Decision, Origin

__all__ = ["model_without_fit"]


def model_without_fit(pipeline: Pipeline, size: tuple[int, int]) -> Model:
    """Wrap a pipeline as a model with arbitrary thresholds, which are not part of the graph."""
    origin = Origin(
        rule="f1",
        source="none",
        normal=0,
        anomalous=0,
        margin=0.0,
        extrapolated=False,
        pictures="none",
    )
    decision = Decision(
        threshold=0.0,
        pixel_threshold=0.0,
        minimum=0.0,
        maximum=1.0,
        scale=1.0,
        origin=origin,
    )
    return Model(
        pipeline,
        Geometry(size),
        decision,
        Card(seed=0, fitted=(), weights="random", tools={}, licence={}),
    )
