"""Detectors: one a file, found by looking. A fitted one is an eval-only module from images to score and map."""

import importlib
import pkgutil

from anomedge.errors import InputError
from anomedge.pipelines._base import Pipeline, Prediction

__all__ = ["Pipeline", "Prediction", "available", "get"]


def available() -> list[str]:
    """Names of the detectors, those of the files beside this one that define a pipeline."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return sorted(kind.name for kind in Pipeline.__subclasses__())


def get(name: str) -> type[Pipeline]:
    """The detector's class.

    Raises:
        InputError: there is none of that name.
    """
    known = available()
    for kind in Pipeline.__subclasses__():
        if kind.name == name:
            return kind
    raise InputError(
        f"got detector {name!r}; expected one of: {', '.join(known)}"
    )
