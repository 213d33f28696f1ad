"""A CSV file has one line per event and no formulas."""

import csv

from anomedge.station.sinks import open_sink
from anomedge.station.sinks.csv import COLUMNS
from tests.station.sinks.events import frame, undecided


def test_rows_have_the_columns_of_the_header(tmp_path):
    path = tmp_path / "a.csv"
    sink = open_sink(str(path))
    sink.send(frame(1, repeated=True, other={"a": 1}))
    sink.send(frame(3, name='=cmd("a",\n1)'))
    sink.send(undecided(2))
    sink.idle()
    assert len(path.read_text().splitlines()) == 4
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert (rows[0]["id"], rows[0]["score"], rows[0]["repeated"]) == (
        "run-1",
        "1.5",
        "true",
    )
    assert rows[1]["name"] == '\'=cmd("a",\\n1)'
    assert (rows[2]["label"], rows[2]["score"]) == ("undecided", "")
    assert rows[2]["message"] == "broken"
