"""Report: one self-contained HTML page about a bundle; needs extra `report`."""

from anomedge.report.content import Request
from anomedge.report.page import write_report

__all__ = ["Request", "write_report"]
