"""Templates of pages without network access, scripts or fonts; all values are escaped."""

from __future__ import annotations

import base64
import importlib.util
import io
from typing import TYPE_CHECKING

from PIL import Image

from anomedge.errors import RuntimeMissing
from anomedge.extras import install_advice
from anomedge.names import printable_lines
from anomedge.report.pictures import Panel

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["check_installed", "environment", "svg_uri"]

_QUALITY = 82
_NONE = "\N{EN DASH}"


def check_installed() -> None:
    """Raise RuntimeMissing without matplotlib or Jinja2."""
    missing = [
        name
        for name in ("matplotlib", "jinja2")
        if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise RuntimeMissing(
            f"{' and '.join(missing)} not installed here; a report needs them: {install_advice('report')}"
        )


def environment() -> Environment:
    """Return the environment of templates: all values are escaped, undefined ones are errors."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("anomedge.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_shown,
    )
    environment.filters |= {
        "picture": _picture_uri,
        "short": _short,
        "power": _power,
        "mebibytes": _mebibytes,
    }
    return environment


def _shown(value: object) -> object:
    """Escape control and bidirectional characters of a text; leave markup and other values unchanged."""
    return (
        printable_lines(value)
        if isinstance(value, str) and not hasattr(value, "__html__")
        else value
    )


def svg_uri(svg: str) -> str:
    """Return an SVG as a data URI."""
    return (
        f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
    )


def _picture_uri(panel: Panel) -> str:
    """Return the pixels as a JPEG data URI."""
    image = Image.fromarray(panel.pixels)
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=_QUALITY, optimize=True)
    return (
        f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    )


def _short(value: float | None) -> str:
    return _NONE if value is None else "0" if value == 0 else f"{value:.1e}"


def _power(value: float) -> str:
    """Format a tolerance with one digit.

    >>> _power(1e-4), _power(0.00396)
    ('1e-4', '4e-3')
    """
    digit, power = f"{value:.0e}".split("e")
    return f"{digit}e{int(power)}"


def _mebibytes(value: int | None) -> str:
    return _NONE if value is None else f"{value / 2**20:.0f} MiB"
