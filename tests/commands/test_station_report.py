"""The report on a station as the command writes and states it."""

import json
import shlex

import pytest

from anomedge.commands._station_report import StationPage, required_bundle
from anomedge.errors import InputError, OutputError
from tests.report.html import Page
from tests.report.station.logs import started, write_log


@pytest.fixture
def log(tmp_path):
    """A log without frames, whose page needs no figure; its name needs quotes."""
    return write_log(tmp_path / "a log.jsonl", [started()])


def write(page, output, *, bundle=None, force=False, as_json=False):
    page.write(bundle, output, force=force, as_json=as_json)


def test_a_bundle_is_required_without_a_station(tmp_path):
    assert required_bundle(tmp_path, None) == tmp_path
    with pytest.raises(InputError, match="neither a bundle nor --station"):
        required_bundle(None, None)
    with pytest.raises(InputError, match="neither a bundle nor --station"):
        required_bundle(None, tmp_path)


def test_overlays_are_those_of_a_station_alone(tmp_path):
    with pytest.raises(InputError, match="with --station alone"):
        required_bundle(tmp_path, tmp_path / "overlays")


def test_a_bundle_beside_a_station_is_refused_and_nothing_written(
    log, tmp_path
):
    target = tmp_path / "report.html"
    with pytest.raises(InputError, match="expected one of them"):
        write(StationPage(log, None, 6), target, bundle=tmp_path)
    assert not target.exists()


def test_the_page_states_the_command_that_writes_it_again(log, tmp_path):
    target, overlays = tmp_path / "r.html", tmp_path / "it's"
    overlays.mkdir()
    write(StationPage(log, overlays, 3), target)
    said = Page(target.read_text(encoding="utf-8")).text
    start = said.index("anomedge report --station")
    words = shlex.split(said[start:].split("\n")[0])
    assert words[:9] == [
        "anomedge", "report", "--station", str(log), "-o", str(target),
        "--pictures", "3", "--overlays",
    ]  # fmt: skip
    assert words[9] == str(overlays)


def test_the_summary_is_the_path_and_size(log, tmp_path, capsys):
    target = tmp_path / "r.html"
    write(StationPage(log, None, 6), target)
    assert capsys.readouterr().out == f"{target}: 0.0 MB\n"


def test_lines_that_are_no_events_are_counted(tmp_path, capsys):
    log = write_log(tmp_path / "log", [started(), "bad", "[]"])
    target = tmp_path / "r.html"
    write(StationPage(log, None, 6), target)
    assert "; 2 of 3 lines are no events\n" in capsys.readouterr().out
    write(StationPage(log, None, 6), target, force=True, as_json=True)
    assert json.loads(capsys.readouterr().out) == {
        "report": str(target),
        "bytes": target.stat().st_size,
        "frames": 0,
        "bad_lines": 2,
    }


def test_names_that_are_no_text_are_written_as_json(log, tmp_path, capsys):
    target = tmp_path / "caf\udce9.html"
    write(StationPage(log, None, 6), target, as_json=True)
    said = json.loads(capsys.readouterr().out)
    assert said["report"].endswith(r"caf\xe9.html")
    assert target.is_file()


def test_an_existing_file_is_kept_without_force(log, tmp_path, capsys):
    target = tmp_path / "r.html"
    target.write_text("mine")
    with pytest.raises(OutputError, match="--force"):
        write(StationPage(log, None, 6), target)
    assert target.read_text() == "mine"
    assert capsys.readouterr().out == ""
