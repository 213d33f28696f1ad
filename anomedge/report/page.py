"""Render a report as one HTML file without network access, scripts or fonts.

Names of pictures, certificates and licences are untrusted; the template escapes
all of them.
"""

from __future__ import annotations

from pathlib import Path

from anomedge import __version__
from anomedge.bundle import Bundle, require_outside
from anomedge.files import atomic_file, check_target
from anomedge.parity import Certificate, Plan
from anomedge.report.content import Content, Request, collect_content
from anomedge.report.figures import latency, score_histogram
from anomedge.report.rendering import (
    check_installed,
    environment,
    svg_uri,
)

__all__ = ["render", "write_report"]

_TEMPLATE = "page.html.j2"


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
    require_outside(bundle, target)
    check_target(target, force=force)
    check_installed()
    content = collect_content(bundle, plan, request)
    page = render(content)
    with atomic_file(target, force=force) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")
    return content.certificate


def render(content: Content) -> str:
    """Render the content of a report as HTML."""
    template = environment().get_template(_TEMPLATE)
    page: str = template.render(
        content=content,
        histogram=svg_uri(score_histogram(content.scores))
        if content.scores.kinds
        else None,
        latency=svg_uri(latency(content.timings)) if content.timings else None,
        version=__version__,
    )
    return page
