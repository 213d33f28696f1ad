"""Figures of a station: drawn for any log, without texts of it."""

from anomedge.report.station.figures import draw_drift, draw_frames
from anomedge.report.station.timeline import timeline_of
from tests.report.station.logs import distribution, drift, event, frame
from tests.report.station.test_timeline import log_of


def test_both_figures_are_deterministic_and_hold_no_text_of_the_log():
    log = log_of(
        [
            *[frame(number, number % 20) for number in range(40)],
            frame(41, 1e300),
            event("waiting", 42, name="cam", message="<evil>"),
            distribution(43, brightness=5.0),
            distribution(44, brightness=0.1),
            drift(45, "begun", message="<evil>"),
            drift(46, "begun", name="<evil>"),
        ]
    )
    timeline = timeline_of(log)
    for draw in (draw_frames, draw_drift):
        svg = draw(timeline, log)
        assert svg == draw(timeline, log)
        assert svg.startswith("<svg")
        assert "evil" not in svg
