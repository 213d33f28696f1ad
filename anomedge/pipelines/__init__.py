"""Detectors: one module per detector, and plugins in the entry-point group `anomedge.pipelines`."""

from typing import Any

from anomedge.errors import InputError
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
        InputError: no detector has that name, or its plugin cannot be loaded or is incomplete.
    """
    detector = REGISTRY.get(name)
    for attribute in ("config_class", "options_class"):
        if not hasattr(detector, attribute):
            raise InputError(
                f"the detector {name!r} ({detector.__module__}.{detector.__qualname__}) does not state {attribute}; "
                f"expected a subclass of the class that anomedge.pipelines.base names for it: add it"
            )
    return detector
