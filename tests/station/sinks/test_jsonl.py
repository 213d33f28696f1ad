"""A file of JSON lines holds each event as it was sent."""

import json

from anomedge.station.sinks import open_sink
from tests.station.sinks.events import frame


def test_lines_are_the_events(tmp_path):
    path = tmp_path / "a.jsonl"
    sink = open_sink(str(path))
    events = [frame(1), frame(2, repeated=True, name="a\nb")]
    for event in events:
        sink.send(event)
    sink.idle()
    assert [json.loads(line) for line in path.read_text().splitlines()] == events  # fmt: skip
