"""Check on a workstation whether a graph builds on its target: by tables with sources, and by installed vendor parsers.

::

    >>> from anomedge.lint import available, lint
    >>> available()  # doctest: +ELLIPSIS
    ['openvino-cpu', 'openvino-gpu', 'openvino-npu', 'rtx', 'tensorrt-8.5', ..., 'tensorrt-11.4']

`lint("part.anomedge", ["tensorrt-10.3"])` returns findings; `examine` also reports which vendor parsers ran.
"""

from anomedge.lint.finding import Finding
from anomedge.lint.run import LintReport, VendorRun, examine, lint
from anomedge.lint.target import Target, available, load

__all__ = [
    "Finding",
    "LintReport",
    "Target",
    "VendorRun",
    "available",
    "examine",
    "lint",
    "load",
]
