"""`anomedge watch --sink`: a dead receiver or a killed station loses no verdict."""

import json
import socket
import subprocess

import pytest

from tests.commands.test_watch import (
    COMMAND,
    folder,  # noqa: F401 - a fixture
    lines,
    named,
    part,  # noqa: F401 - a fixture
    run,
)
from tests.station.sinks.test_webhook import web_server


@pytest.fixture
def station(part, folder, tmp_path):  # noqa: F811
    """Arguments of a run over three pictures."""
    return [part, folder, "--once", "--poll", "0.01", "--spool", tmp_path / "spool"]  # fmt: skip


def test_a_file_has_the_verdicts_of_the_lines(station, tmp_path, capfd):
    path = tmp_path / "verdicts.jsonl"
    assert run(*station, "--sink", path, "--sink", tmp_path / "v.csv") == 0
    said = lines(capfd.readouterr().out)
    sent = lines(path.read_text())
    keys = ("id", "name", "label", "score", "time")
    assert [[event[key] for key in keys] for event in named(sent, "frame")] == [
        [line[key] for key in keys] for line in named(said, "frame")
    ]
    assert len(named(sent, "frame")) == 3
    assert [sink["waiting"] for sink in said[-1]["sinks"]] == [0, 0]
    assert len((tmp_path / "v.csv").read_text().splitlines()) == 1 + len(sent)


def test_a_station_killed_during_a_delivery_marks_the_one_event(
    station, tmp_path, capfd
):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        sink = ["--sink", f"http://127.0.0.1:{port}/"]
        command = [*COMMAND, *station, *sink, "--threads", "1"]
        process = subprocess.Popen(
            [str(word) for word in command], stdout=subprocess.PIPE
        )
        with silent.accept()[0] as connection:
            first = [json.loads(process.stdout.readline()) for _ in range(4)]
            assert connection.recv(10)
            process.kill()
            process.wait(30)
    process.stdout.close()
    with web_server(port) as server:
        assert run(*station, *sink) == 0
    said = lines(capfd.readouterr().out)
    got = [event for _, _, event in server.got]
    before = [line["id"] for line in first]
    assert [event["id"] for event in got][:4] == before
    assert [event.get("repeated") for event in got] == [True] + [None] * (
        len(got) - 1
    )
    shared = [line["id"] for line in said if "id" in line]
    assert [event["id"] for event in got][-len(shared) :] == shared
    assert said[-1]["sinks"][0]["delivered"] == len(got)


def test_a_receiver_that_is_down_stops_nothing(station, capfd):
    assert run(*station, "--sink", "http://127.0.0.1:9/") == 0
    said = lines(capfd.readouterr().out)
    assert len(named(said, "frame")) == 3
    states = [line["state"] for line in named(said, "sink")]
    assert states == ["down", "left"]
    assert said[-1]["sinks"][0]["waiting"] == 5
    assert said[-1]["errors"] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--sink", "ftp://me:secret@host/"], "got --sink ftp://host/"),
        (["--sink", "no/such/folder/a.csv"], "create no/such/folder"),
        (["--sink", "a.csv", "--sink", "a.csv"], "twice"),
        (["--sink", "a.csv", "--spool", "file"], "give --spool a folder"),
    ],
)
def test_wrong_use_is_refused_before_inspection(
    arguments, said, station, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    assert run(*station, *arguments) == 2
    captured = capfd.readouterr()
    assert said in " ".join(captured.err.split())
    assert "secret" not in captured.err
    assert captured.out == ""


def test_an_undecided_picture_is_an_event_with_its_label(
    station, tmp_path, capfd
):
    (station[1] / "bad.png").write_bytes(b"no picture")
    path = tmp_path / "verdicts.jsonl"
    assert run(*station, "--sink", path) == 2
    (said,) = named(lines(capfd.readouterr().out), "error")
    (sent,) = named(lines(path.read_text()), "error")
    assert (sent["label"], sent["name"]) == ("undecided", "bad.png")
    assert sent == said
