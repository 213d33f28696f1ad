"""Choice of the sink of an address."""

from pathlib import Path

import pytest

from anomedge.errors import InputError
from anomedge.station.sinks import SINKS, open_sink, sink_forms
from anomedge.station.sinks.csv import CsvSink
from anomedge.station.sinks.jsonl import JsonLinesSink


def test_every_module_of_the_package_is_a_sink():
    folder = Path(__file__).parents[3] / "anomedge" / "station" / "sinks"
    modules = {path.stem for path in folder.glob("[a-z]*.py")} - {"base"}
    assert set(SINKS.names()) == modules


def test_an_address_has_one_sink(tmp_path, monkeypatch):
    assert isinstance(open_sink(str(tmp_path / "a.csv")), CsvSink)
    monkeypatch.setattr(JsonLinesSink, "accepts", lambda address: True)
    with pytest.raises(InputError, match="which the sinks csv and jsonl"):
        open_sink(str(tmp_path / "a.csv"))


def test_an_unknown_address_is_refused_without_its_password():
    with pytest.raises(InputError) as refused:
        open_sink("ftp://me:secret@host/x")
    assert "got --sink ftp://host/x; expected" in str(refused.value)
    assert sink_forms() in str(refused.value)
