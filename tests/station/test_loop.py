"""The loop with a trivial detector and sources that behave as cameras, disks and readers do."""

import errno
import io
import json
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from anomedge.errors import (
    GaveUp,
    OutputLost,
    RuntimeFailure,
    SourceLost,
)
from anomedge.inspector import Result
from anomedge.resample import Geometry
from anomedge.station import (
    READER_THREAD,
    CapturedFrame,
    EventWriter,
    SourceNotice,
    SourceOptions,
    Station,
    StationOptions,
    UnusableFrame,
)
from anomedge.station.exchange import PinnedBundle
from anomedge.station.reactions import ReactionOptions, Reactions
from anomedge.station.service_manager import ServiceManager
from anomedge.station.sources import _opencv
from anomedge.station.sources.camera import CameraSource
from anomedge.station.sources.folder import FolderSource
from anomedge.threshold import Decision, Origin

SIZE = (8, 12)
ORIGIN = Origin(
    rate=0.01,
    rule="false-alarm-rate",
    source="-",
    normal=1,
    anomalous=0,
    margin=1,
    extrapolated=False,
    pictures="-",
)
DECISION = Decision(
    threshold=100,
    pixel_threshold=100,
    minimum=0,
    maximum=255,
    scale=10,
    origin=ORIGIN,
)


class GreyInspector:
    """The score is the brightest grey; 255 is what the runtime cannot do; each frame takes `seconds`."""

    def __init__(self, seconds=0.0):
        self.seconds = seconds
        self.seen, self.news = [], []
        self.decision = DECISION
        manifest = SimpleNamespace(
            framing=SIZE,
            geometry=Geometry(SIZE),
            digest="d",
        )
        self.bundle = SimpleNamespace(
            path="part.anomedge", manifest=manifest, local=None
        )
        self.session = SimpleNamespace(name="fake", running_on="nowhere")

    def changed(self):
        return self.news.pop(0) if self.news else None

    def predict_batch(self, frames):
        time.sleep(self.seconds)
        (frame,) = frames
        grey = int(frame.max())
        self.seen.append(grey)
        if grey == 255:
            raise RuntimeFailure("fake gave a score or map that is not finite")
        anomaly_map = np.full(SIZE, grey, np.float32)
        label = "anomalous" if grey > 100 else "normal"
        return [
            Result(
                float(grey),
                label,
                anomaly_map,
                DECISION.mask(anomaly_map),
                1.23456,
            )
        ]


class ListSource:
    """Items from a list, as fast as they are taken."""

    folder = None

    def __init__(self, items, live=False):
        self.title, self.live, self.given = "list", live, items
        self.missed, self.ignored = 2, 3
        self.taken = 0

    def events(self, stop):
        for item in self.given:
            if stop.is_set():
                return
            self.taken += 1
            yield item


def frame(number, grey=0, size=SIZE, path=None):
    return CapturedFrame(
        number,
        f"f{number}",
        np.full((*size, 3), grey, np.uint8),
        path,
        time=1.5,
    )


def run(
    items,
    *,
    options=None,
    live=False,
    keeper=None,
    inspector=None,
    output=None,
    **commands,
):
    """The lines of a run; further arguments are those of its commands."""
    output = output or EventWriter(io.StringIO())
    source = items if hasattr(items, "events") else ListSource(items, live)
    reactions = Reactions(ReactionOptions(**commands), output.error)
    try:
        Station(
            inspector or GreyInspector(),
            source,
            output,
            options,
            reactions,
            keeper,
        ).run()
    finally:
        said = [
            json.loads(line) for line in output._stream.getvalue().splitlines()
        ]
    return said


def events(lines):
    return [line["event"] for line in lines]


def test_one_line_a_frame_between_started_and_stopped():
    lines = run(
        [frame(1, 7), UnusableFrame(2, "bad", "no picture", 2.0), frame(3, 120)]
    )
    assert events(lines) == ["started", "frame", "error", "frame", "stopped"]
    assert lines[1] == {
        "event": "frame", "time": "1970-01-01T00:00:01.500+00:00", "number": 1, "name": "f1", "label": "normal",
        "score": 7.0, "threshold": 100.0, "anomalous_pixels": 0.0, "milliseconds": 1.235, "dropped": 0,
    }  # fmt: skip
    assert lines[2] == {
        "event": "error", "time": "1970-01-01T00:00:02.000+00:00", "number": 2, "name": "bad", "label": "undecided",
        "message": "no picture", "dropped": 0,
    }  # fmt: skip
    assert (lines[3]["label"], lines[3]["anomalous_pixels"]) == (
        "anomalous",
        1.0,
    )
    del lines[4]["time"]
    assert lines[4] == {
        "event": "stopped",
        "frames": 2,
        "anomalous": 1,
        "undecided": 1,
        "errors": 1,
        "dropped": 0,
        "missed": 2,
        "ignored": 3,
        "unwritten": 0,
    }
    assert (lines[0]["digest"], lines[0]["local"]) == ("d", None)


def test_notices_are_lines_and_no_errors():
    notice = SourceNotice("missed", "a", "taken away", 7, 2.0)
    lines = run([notice, frame(1)])
    assert lines[1] == {
        "event": "missed", "time": "1970-01-01T00:00:02.000+00:00", "name": "a", "message": "taken away", "count": 7,
    }  # fmt: skip
    assert events(lines[2:]) == ["frame", "stopped"]
    assert lines[-1]["errors"] == 0


def test_a_slow_loop_loses_nothing_and_reads_no_further_than_its_queue():
    source = ListSource([frame(number, number) for number in range(1, 31)])
    behind = []
    inspector = GreyInspector()
    predict = inspector.predict_batch

    def watched(frames):
        time.sleep(0.003)
        behind.append(source.taken - len(inspector.seen))
        return predict(frames)

    inspector.predict_batch = watched
    lines = run(source, options=StationOptions(queue=3), inspector=inspector)
    assert inspector.seen == list(range(1, 31))
    assert lines[-1]["dropped"] == 0
    assert max(behind) <= 3 + 2  # the queue, one in hand, one in the reader's


def test_a_live_source_drops_its_oldest_frames_and_counts_them():
    inspector = GreyInspector(seconds=0.05)
    given = [frame(number, number) for number in range(1, 41)]
    lines = run(
        given, live=True, options=StationOptions(queue=3), inspector=inspector
    )
    frames = [line for line in lines if line["event"] == "frame"]
    numbers = [line["number"] for line in frames]
    assert numbers == sorted(numbers)
    assert numbers[-3:] == [38, 39, 40]  # the newest stayed
    gaps = np.diff([0, *numbers]) - 1
    assert [line["dropped"] for line in frames] == gaps.tolist()
    assert lines[-1]["dropped"] == 40 - len(frames) == gaps.sum() > 0


def test_a_live_source_slower_than_the_loop_drops_nothing():
    inspector = GreyInspector()

    class Slow(ListSource):
        def events(self, stop):
            for place, item in enumerate(self.given):
                while len(inspector.seen) < place:
                    stop.wait(0.001)
                yield item

    lines = run(
        Slow([frame(number, number) for number in range(1, 9)], live=True),
        options=StationOptions(queue=1),
        inspector=inspector,
    )
    assert [
        line["number"] for line in lines if line["event"] == "frame"
    ] == list(range(1, 9))
    assert lines[-1]["dropped"] == 0


def test_a_camera_that_goes_and_comes_is_told_in_lines(monkeypatch):
    from tests.station.sources.test_camera import fake_opencv

    def shots(*greys):
        return [np.full((*SIZE, 3), grey, np.uint8) for grey in greys]

    fake_opencv(monkeypatch, shots(1, 2), [], shots(3))
    source = CameraSource("0", SourceOptions(retries=2))
    source.first_pause = 0.01
    with pytest.raises(SourceLost, match="no frame after 2 attempts"):
        run(source, output=(output := EventWriter(io.StringIO())))
    said = [json.loads(line) for line in output._stream.getvalue().splitlines()]
    assert events(said) == [
        "started", "frame", "frame", "waiting", "waiting", "resumed", "frame", "waiting", "waiting", "stopped",
    ]  # fmt: skip
    assert said[3]["seconds"] == 0.01
    assert said[-1]["frames"] == 3


@pytest.mark.parametrize("state", ["empty", "backoff", "hanging", "busy"])
def test_stop_is_prompt(state, monkeypatch, tmp_path):
    from tests.station.sources.test_camera import fake_opencv

    fake_opencv(monkeypatch)
    hanging = threading.Event()
    source = (
        FolderSource(tmp_path, poll=60)
        if state == "empty"
        else CameraSource("0")
    )
    source.first_pause = 60
    if state == "hanging":
        monkeypatch.setattr(
            _opencv, "next_frame", lambda *_: hanging.wait(20) and None
        )
    if state == "busy":
        source = ListSource([frame(number) for number in range(1, 100)])
    station = Station(
        GreyInspector(0.02 if state == "busy" else 0),
        source,
        EventWriter(stream := io.StringIO()),
    )
    threading.Timer(0.3, station.stop).start()
    start = time.monotonic()
    summary = station.run()
    assert 0.2 < time.monotonic() - start < 2.5
    assert json.loads(stream.getvalue().splitlines()[-1])["event"] == "stopped"
    assert any(
        thread.name == READER_THREAD for thread in threading.enumerate()
    ) == (state == "hanging")
    assert (summary.frames > 0) == (state == "busy")
    hanging.set()


def test_limit_counts_every_frame():
    lines = run(
        [frame(1), UnusableFrame(2, "bad", "-"), frame(3), frame(4)],
        options=StationOptions(limit=3),
    )
    assert events(lines) == ["started", "frame", "error", "frame", "stopped"]


def test_other_sizes_are_errors_or_stretched(tmp_path):
    odd = [frame(1, 50, (16, 20), tmp_path / "a"), frame(2, 50)]
    lines = run(odd)
    assert events(lines) == ["started", "error", "frame", "stopped"]
    assert "f1: got 16x20; expected 8x12" in lines[1]["message"]
    assert "--stretch" in lines[1]["message"]
    assert events(run(odd, options=StationOptions(stretch=True))) == [
        "started",
        "frame",
        "frame",
        "stopped",
    ]


def test_a_blind_station_ends_with_the_error():
    given = [
        frame(number, grey)
        for number, grey in enumerate((255, 255, 0, 255, 255, 255, 0), start=1)
    ]
    output = EventWriter(stream := io.StringIO())
    with pytest.raises(GaveUp, match=r"3 frames in a row .* not finite"):
        run(given, options=StationOptions(give_up=3), output=output)
    assert events([json.loads(line) for line in stream.getvalue().splitlines()]) == [
        "started", "error", "error", "frame", "error", "error", "error", "stopped",
    ]  # fmt: skip
    assert (
        events(run(given, options=StationOptions(give_up=4)))[-1] == "stopped"
    )


def test_every_kind_of_undecided_frame_counts_in_folders_too(tmp_path):
    given = [
        frame(1, 7),
        UnusableFrame(2, "bad", "no picture"),
        frame(3, 0, (4, 4), tmp_path / "small"),
        frame(4, 255, path=tmp_path / "failing"),
        frame(5, 7),
    ]
    output = EventWriter(stream := io.StringIO())
    with pytest.raises(GaveUp, match="3 frames in a row"):
        run(given, options=StationOptions(give_up=3), output=output)
    last = json.loads(stream.getvalue().splitlines()[-1])
    assert (last["frames"], last["undecided"]) == (1, 3)
    pictures = [UnusableFrame(n, "bad", "no picture") for n in range(1, 9)]
    with pytest.raises(GaveUp, match="the last: no picture"):
        run(pictures, options=StationOptions(give_up=8))


def test_a_frame_that_breaks_the_loop_is_undecided_first():
    class Broken(GreyInspector):
        def predict_batch(self, _):
            raise ZeroDivisionError("a bug")

    output = EventWriter(stream := io.StringIO())
    with pytest.raises(ZeroDivisionError):
        run([frame(1), frame(2)], inspector=Broken(), output=output)
    said = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert events(said) == ["started", "error", "stopped"]
    assert said[1]["label"] == "undecided"
    assert said[1]["message"] == "ZeroDivisionError: a bug"


def test_errors_of_the_source_end_the_loop_after_what_came_before():
    def fail(stop):
        yield frame(1)
        raise ZeroDivisionError("a bug")

    source = SimpleNamespace(
        title="broken",
        live=False,
        events=fail,
        missed=0,
        ignored=0,
        folder=None,
    )
    output = EventWriter(stream := io.StringIO())
    with pytest.raises(ZeroDivisionError):
        run(source, output=output)
    assert events(
        [json.loads(line) for line in stream.getvalue().splitlines()]
    ) == ["started", "frame", "stopped"]


def test_a_source_that_the_system_cannot_read_is_lost():
    def fail(stop):
        yield frame(1)
        raise OSError(errno.EIO, "Input/output error")

    source = SimpleNamespace(
        title="disk", live=False, events=fail, missed=0, ignored=0, folder=None
    )
    with pytest.raises(SourceLost, match=r"disk cannot .*Input/output error"):
        run(source)


class BrokenStream(io.StringIO):
    def __init__(self, error, good):
        super().__init__()
        self.error, self.good = error, good

    def flush(self):
        if self.getvalue().count("\n") > self.good:
            raise self.error


def test_a_reader_that_goes_away_is_an_error():
    stream = BrokenStream(BrokenPipeError(), good=2)
    inspector = GreyInspector()
    with pytest.raises(OutputLost, match="reader of the output lines went"):
        run(
            [frame(number) for number in range(1, 500)],
            inspector=inspector,
            output=EventWriter(stream),
        )
    assert len(inspector.seen) == 2


def test_an_output_that_cannot_be_written_is_an_error():
    stream = BrokenStream(
        OSError(errno.ENOSPC, "No space left on device"), good=2
    )
    with pytest.raises(OutputLost, match="No space left"):
        run(
            [frame(number) for number in range(1, 500)],
            output=EventWriter(stream),
        )


def test_a_change_of_the_bundle_is_a_line_and_told():
    inspector, told, stream = GreyInspector(), [], io.StringIO()
    inspector.news = [None, "another bundle"]
    output = EventWriter(stream)
    Station(
        inspector,
        ListSource([frame(1), frame(2), frame(3)]),
        output,
        follower=PinnedBundle(output, told.append),
    ).run()
    said = [json.loads(line) for line in stream.getvalue().splitlines()]
    (line,) = [line for line in said if line["event"] == "changed"]
    assert (line["name"], line["message"]) == (
        "part.anomedge",
        "another bundle",
    )
    assert told == ["another bundle"]
    assert said[-1]["frames"] == 3


class SlowSource(ListSource):
    """Waits before each item."""

    def events(self, stop):
        for item in self.given:
            stop.wait(0.35)
            yield item


def test_a_heartbeat_tells_the_counts_while_no_frame_comes():
    lines = run(
        SlowSource([frame(1, 120), frame(2, 255)]),
        options=StationOptions(heartbeat=0.1),
    )
    beats = [line for line in lines if line["event"] == "heartbeat"]
    assert lines[1]["event"] == "heartbeat"  # before the first frame
    del beats[-1]["time"]
    assert beats[-1] == {
        "event": "heartbeat", "frames": 1, "anomalous": 1, "undecided": 0, "errors": 0, "dropped": 0, "missed": 2,
        "ignored": 3, "unwritten": 0, "pending": 0,
    }  # fmt: skip
    assert "heartbeat" not in events(run([frame(1)]))


class RecordedService(ServiceManager):
    """Notes the messages instead of sending them."""

    def __init__(self):
        super().__init__({"WATCHDOG_USEC": "2"})
        self.sent = []

    def _send(self, message):
        self.sent.append(message)


def test_the_service_manager_hears_of_start_life_and_end():
    service = RecordedService()
    station = Station(
        GreyInspector(),
        ListSource([frame(1)]),
        EventWriter(io.StringIO()),
        service=service,
    )
    station.run()
    assert service.sent[0] == "READY=1"
    assert set(service.sent[1:-1]) == {"WATCHDOG=1"}
    assert service.sent[-1] == "STOPPING=1"


def test_a_hanging_inference_gives_no_sign_of_life():
    service = RecordedService()
    during = []

    class Hanging(GreyInspector):
        def predict_batch(self, frames):
            before = len(service.sent)
            time.sleep(0.3)
            during.append(len(service.sent) - before)
            return super().predict_batch(frames)

    stream = io.StringIO()
    Station(
        Hanging(),
        ListSource([frame(1)]),
        EventWriter(stream),
        StationOptions(heartbeat=0.1),
        service=service,
    ).run()
    assert during == [0]
    assert "WATCHDOG=1" in service.sent
