"""Detectors: one module per detector, and plugins in the entry-point group `anomedge.pipelines`."""

from typing import Any

from anomedge.pipelines.base import (
    Config,
    Options,
    Pipeline,
    Prediction,
    Suggestion,
)
from anomedge.pipelines.data import FitData
from anomedge.registry import Registry

__all__ = [
    "REGISTRY",
    "Config",
    "FitData",
    "Options",
    "Pipeline",
    "Prediction",
    "Suggestion",
    "available",
    "get",
]

REGISTRY: Registry[Pipeline[Any, Any]] = Registry(
    package=__name__,
    group="anomedge.pipelines",
    kind="detector",
    base=Pipeline,
)


def available() -> list[str]:
    """Return the names of all detectors; plugins are not loaded."""
    return REGISTRY.names()


def get(name: str) -> type[Pipeline[Any, Any]]:
    """Return the class of a detector.

    Raises:
        InputError: no detector has that name, or its plugin cannot be loaded.
    """
    return REGISTRY.get(name)
