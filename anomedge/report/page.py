"""Render a report as one HTML file without network access, scripts or fonts.

Names of pictures, certificates and licences are untrusted; the template escapes
all of them.
"""

from __future__ import annotations

import base64
import importlib.util
import io
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from anomedge import __version__
from anomedge.bundle import Bundle
from anomedge.errors import InputError, RuntimeMissing
from anomedge.files import atomic_file, check_target
from anomedge.names import printable_lines
from anomedge.parity import Certificate, Plan
from anomedge.report.content import Content, Request, collect_content
from anomedge.report.figures import latency, score_histogram
from anomedge.report.pictures import Panel

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["render", "write_report"]

_TEMPLATE = "page.html.j2"
_QUALITY = 82
_NONE = "\N{EN DASH}"


def write_report(
    bundle: Bundle,
    target: Path,
    plan: Plan,
    request: Request,
    *,
    force: bool = False,
) -> Certificate:
    """Prove the bundle again and write the page; return the certificate.

    A failed proof is written to the page and not raised.

    Args:
        bundle: an opened bundle.
        target: the HTML file to write, outside the bundle.
        plan: runtimes, batch sizes, precision and device.
        request: pictures to compare and to show, and rounds of the measurement.
        force: replace an existing file.

    Raises:
        OutputError: the target exists or cannot be written.
        InputError: the target lies inside the bundle, whose files are listed in
            its manifest.
        RuntimeMissing: matplotlib or Jinja2 is not installed.
        AnomedgeError: as `collect_content`.
    """
    if target.resolve().is_relative_to(bundle.path.resolve()):
        raise InputError(
            f"got {target} inside {bundle.path}; expected a file elsewhere: it is no part of the bundle"
        )
    check_target(target, force=force)
    _check_installed()
    content = collect_content(bundle, plan, request)
    page = render(content)
    with atomic_file(target, force=force) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")
    return content.certificate


def render(content: Content) -> str:
    """Render the content of a report as HTML."""
    template = _environment().get_template(_TEMPLATE)
    page: str = template.render(
        content=content,
        histogram=_svg_uri(score_histogram(content.scores))
        if content.scores.kinds
        else None,
        latency=_svg_uri(latency(content.timings)) if content.timings else None,
        version=__version__,
    )
    return page


def _check_installed() -> None:
    missing = [
        name
        for name in ("matplotlib", "jinja2")
        if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise RuntimeMissing(
            f"{' and '.join(missing)} not installed here; a report needs them: pip install 'anomedge[report]'"
        )


def _environment() -> Environment:
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


def _svg_uri(svg: str) -> str:
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
