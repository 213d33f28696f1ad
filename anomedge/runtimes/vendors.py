"""Detect vendor packages, and translate their errors."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from anomedge.errors import AnomedgeError, RuntimeFailure

__all__ = ["VendorError", "is_installed", "translated_errors"]

_LONGEST_TEXT = 600


class VendorError(RuntimeError):
    """A failure that a vendor or CUDA reported; sessions translate it."""


def is_installed(package: str) -> bool:
    """Return whether a package can be imported; only its parents are imported.

    >>> is_installed("numpy"), is_installed("numpy.nothing")
    (True, False)
    """
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


@contextmanager
def translated_errors(name: str, verb: str, subject: str) -> Iterator[None]:
    """Within the block, raise vendor errors as RuntimeFailure; keep the cause.

    Args:
        name: name of the runtime.
        verb: the failed action, such as "open".
        subject: what the action is about, such as the file name of the graph.
    """
    try:
        yield
    except (AnomedgeError, MemoryError):
        raise
    except Exception as error:
        text = _text(name, error)
        raise RuntimeFailure(
            f"{name} could not {verb} {subject}: {text[:_LONGEST_TEXT]}"
        ) from error


def _text(name: str, error: Exception) -> str:
    if isinstance(error, ImportError) and not str(error):
        # A package built for numpy 1 prints its reason to the terminal only.
        return (
            f"it does not load beside numpy {np.__version__}; expected a "
            f"release that does: pip install -U {name}, or 'numpy<2'"
        )
    return " ".join(str(error).split()) or type(error).__name__
