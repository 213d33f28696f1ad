"""The report: one self-contained HTML page of a bundle, to print and to hand on. Needs the extra `report`."""

from anomedge.report.content import Request
from anomedge.report.page import write_report

__all__ = ["Request", "write_report"]
