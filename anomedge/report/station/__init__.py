"""Report on a station: one self-contained HTML page from the lines that `anomedge watch` wrote; needs extra `report`."""

from anomedge.report.station.page import StationRequest, write_station_report

__all__ = ["StationRequest", "write_station_report"]
