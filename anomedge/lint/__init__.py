"""Will a graph build on its target? Asked on the workstation: by tables with their sources, and by what is installed.

::

    >>> from anomedge.lint import available, lint
    >>> available()  # doctest: +ELLIPSIS
    ['openvino-cpu', 'openvino-gpu', 'openvino-npu', 'rtx', 'tensorrt-8.5', ..., 'tensorrt-11.4']

`lint("part.anomedge", ["tensorrt-10.3"])` gives findings; `examine` also says what was really run.
"""

from anomedge.lint.finding import Finding
from anomedge.lint.run import Report, Run, examine, lint
from anomedge.lint.target import Target, available, load

__all__ = [
    "Finding",
    "Report",
    "Run",
    "Target",
    "available",
    "examine",
    "lint",
    "load",
]
