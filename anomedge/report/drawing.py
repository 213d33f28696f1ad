"""Common style of figures, and their conversion to SVG.

Matplotlib is imported inside functions, and only its `Figure`, which needs no
window system and shares no state with the caller.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from anomedge.errors import RuntimeMissing
from anomedge.extras import install_advice

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["BAND", "INK", "as_svg", "figure_of"]

INK, BAND = "#222222", "#cc3311"
_STYLE = {
    "svg.hashsalt": "anomedge",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "text.color": INK,
    "hatch.linewidth": 0.6,
    "axes.unicode_minus": True,
}
_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


@contextmanager
def figure_of(width: float, height: float) -> Iterator[Figure]:
    """Yield a figure in a fixed style, independent of the user's settings.

    Width and height are in inches.
    """
    try:
        from matplotlib import style
        from matplotlib.figure import Figure
    except ImportError as error:
        raise RuntimeMissing(
            f"matplotlib cannot be used here ({error}); expected it: {install_advice('report')}"
        ) from error
    settings: list[Any] = ["default", _STYLE]
    with style.context(settings):
        yield Figure(
            figsize=(width, height), layout="constrained", facecolor="white"
        )


def as_svg(figure: Figure) -> str:
    """Return a figure as SVG without a date."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=_METADATA)
    text = buffer.getvalue()
    return text[text.index("<svg") :]
