"""The page on a station: its statements, and texts of a malicious log."""

from datetime import datetime, timezone

import pytest

from anomedge.errors import InputError, OutputError
from anomedge.report.station import StationRequest, write_station_report
from tests.report.html import Page
from tests.report.station.logs import (
    START,
    distribution,
    drift,
    event,
    frame,
    started,
    undecided,
    write_log,
)
from tests.report.station.test_overlays import saved

CLOCK = datetime(2026, 1, 2, 3, 4, tzinfo=timezone.utc)
EVIL = "<script>alert(1)</script><&\"'\x1b[31m\u202e"


def page_of(folder, events, **more):
    log = write_log(folder / "log.jsonl", events)
    target = folder / "report.html"
    request = StationRequest(log, now=CLOCK, **more)
    found = write_station_report(request, target, force=True)
    text = target.read_text(encoding="utf-8")
    return found, text, Page(text)


EVENTS = [
    started(source=EVIL),
    *[frame(number, number) for number in range(1, 12)],
    frame(12, 30.0, name=EVIL),
    undecided(13, EVIL),
    event("waiting", 14, name="cam", message=EVIL),
    distribution(15, brightness=0.75),
    drift(16, "begun", EVIL, EVIL),
    "bad",
]


def test_texts_of_the_log_are_escaped_and_nothing_is_loaded(tmp_path):
    _, text, page = page_of(tmp_path, EVENTS, command=EVIL)
    assert page.of("script") == []
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "<script>alert(1)</script>" in page.text
    for image in page.of("img"):
        assert image["src"].startswith("data:image/")
    assert "http" not in text.replace("http://www.w3.org", "")


def test_the_page_states_numbers_drift_gaps_and_worst_pictures(tmp_path):
    folder = tmp_path / "out"
    saved(folder, EVIL, 12, START + 12)
    found, _, page = page_of(tmp_path, EVENTS, overlays=folder, pictures=2)
    assert found.bad == 1
    assert "✗ DRIFT" in page.text
    assert "1 of 18 lines are no events" in page.text
    assert "1 frames were not decided" in page.text
    assert "2, 16.67 % of the decided frames" in page.text
    assert "not over" in page.text
    assert "score 30, frame 12" in page.text
    assert "score 11, frame 11" in page.text
    assert len(page.of("img")) == 3  # two figures and one overlay


def test_a_drift_that_is_over_is_none_at_the_end(tmp_path):
    events = [frame(1, 5.0), drift(2, "begun"), drift(62, "over")]
    _, _, page = page_of(tmp_path, events)
    assert "✓ NO DRIFT" in page.text
    assert "1 drifts are over" in page.text
    assert ["brightness", "2023-11-14 22:13:22 UTC", "1 min", "median 150"] in [
        row for row in page.rows if row
    ]


def test_a_log_without_frames_has_a_page(tmp_path):
    _, _, page = page_of(tmp_path, [started()])
    assert page.of("img") == []
    assert "no statement about drift" in page.text


def test_wrong_requests_are_refused(tmp_path):
    log = write_log(tmp_path / "log", EVENTS)
    target = tmp_path / "report.html"
    with pytest.raises(InputError, match="expected 0 to 24"):
        write_station_report(StationRequest(log, pictures=25), target)
    target.touch()
    with pytest.raises(OutputError, match="--force"):
        write_station_report(StationRequest(log), target)
