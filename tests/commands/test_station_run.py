"""A run of the station on standard output: its end, stop signals, and an output that is lost."""

import errno
import io
import json
import os
import signal
import sys
import threading
from contextlib import contextmanager

import pytest

from anomedge.commands._memory import OpenMemory
from anomedge.commands._station_run import (
    _discard_output,
    _say,
    _stopped_by_signals,
    run_station,
)
from anomedge.errors import OutputLost
from anomedge.station import StationOptions
from anomedge.station.observers import ObserverOptions
from anomedge.station.reactions import ReactionOptions
from tests.station.test_loop import GreyInspector, ListSource, frame

NUMBERS = (signal.SIGTERM, signal.SIGINT)


def handlers():
    return [signal.getsignal(number) for number in NUMBERS]


def run(source, inspector=None):
    return run_station(
        inspector or GreyInspector(),
        source,
        StationOptions(),
        ReactionOptions(),
        None,
        None,
        None,
        ObserverOptions(no_drift=True),
        OpenMemory(None, None),
    )


@contextmanager
def broken_pipe():
    """Within the block, standard output has no reader; no fixture, because pytest replaces it between the phases."""
    reader, writer = os.pipe()
    os.close(reader)
    with (
        os.fdopen(writer, "w") as stream,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(sys, "stdout", stream)
        yield stream


def test_a_run_ends_with_its_source(capsys):
    before = handlers()
    summary = run(ListSource([frame(1), frame(2, 200)]))
    assert (summary.frames, summary.undecided) == (2, 0)
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in said] == [
        "started", "frame", "frame", "stopped",
    ]  # fmt: skip
    assert handlers() == before


class Endless(ListSource):
    """The given frames, then none until a stop."""

    def events(self, stop):
        yield from super().events(stop)
        assert stop.wait(30)


class Signalled(GreyInspector):
    """The process gets a signal during each inspection."""

    def predict_batch(self, frames):
        signal.raise_signal(signal.SIGTERM)
        return super().predict_batch(frames)


def test_a_signal_finishes_the_frame_and_ends_the_run(capsys):
    before = handlers()
    assert run(Endless([frame(1)]), Signalled()).frames == 1
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in said] == ["started", "frame", "stopped"]
    assert handlers() == before


def test_what_a_lost_output_did_not_take_is_discarded():
    with broken_pipe() as stream:
        with pytest.raises(OutputLost):
            run(ListSource([frame(1)]))
        stream.write("still writable, to nowhere")
        stream.flush()


def test_buffered_lines_are_discarded():
    with broken_pipe() as stream:
        stream.write("never written")
        _discard_output()
        stream.flush()


def test_an_output_without_a_file_is_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    _discard_output()
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stdout", closed)
    _discard_output()


def test_handlers_are_put_back_and_left_alone_in_other_threads():
    before = handlers()
    asked = []
    with _stopped_by_signals(
        lambda: asked.append("stop"), lambda: asked.append("clean up")
    ):
        signal.raise_signal(signal.SIGTERM)
        assert asked == ["stop"]
    assert handlers() == before

    def elsewhere():
        with _stopped_by_signals(lambda: None, lambda: None):
            asked.append(handlers())

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert asked[1] == before


@pytest.mark.parametrize("failure", [None, OSError("gone")])
def test_a_second_signal_cleans_up_and_ends_the_process(monkeypatch, failure):
    asked = []
    monkeypatch.setattr(
        os,
        "kill",
        lambda process, number: asked.append(
            (process, number, signal.getsignal(number))
        ),
    )

    def clean_up():
        asked.append("clean up")
        if failure is not None:
            raise failure

    before = handlers()
    with _stopped_by_signals(lambda: asked.append("stop"), clean_up):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
    assert asked == [
        "stop",
        "clean up",
        (os.getpid(), signal.SIGINT, signal.SIG_DFL),
    ]
    assert handlers() == before


class FullDisk(io.StringIO):
    def write(self, _):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_warnings_are_one_escaped_line_and_may_fail(monkeypatch, capsys):
    _say("a\nb\x1b " + "long " * 60)
    said = capsys.readouterr().err
    assert said.startswith(r"warning: a\nb\x1b long")
    assert said.count("\n") == 1
    monkeypatch.setattr(sys, "stderr", FullDisk())
    _say("nowhere to write")
