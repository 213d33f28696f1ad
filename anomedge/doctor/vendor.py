"""Import a vendor's package for a probe: absent, broken, or present with its release."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anomedge.doctor.base import Finding
from anomedge.runtimes.vendors import is_installed

__all__ = ["imported", "one_line"]

_LONGEST = 300


def imported(
    package: str, title: str, load: Callable[[], Any]
) -> tuple[Any, Finding]:
    """Return the package, None where it cannot be used, and the finding on it.

    Args:
        package: name of the package.
        title: title of the finding.
        load: imports the package.
    """
    if not is_installed(package):
        return None, Finding(title, "not installed", "absent")
    try:
        vendor = load()
    except (ImportError, OSError) as error:
        text = f"installed but does not load: {one_line(error)}"
        return None, Finding(title, text, "broken")
    release = str(vendor.__version__).split("-")[0]
    return vendor, Finding(title, f"{release}, imports")


def one_line(error: Exception) -> str:
    """Return the message of an error in one line of limited length; its type where it has no message."""
    return " ".join(str(error).split())[:_LONGEST] or type(error).__name__
