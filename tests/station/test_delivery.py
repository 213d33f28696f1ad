"""A delivery sends every event in order, whatever its sink does, and says when it cannot."""

import threading
import time

import pytest

from anomedge.station.delivery import Delivery, RetryRule
from anomedge.station.sinks.base import Sink, SinkDown
from anomedge.station.spool import Spool
from tests.station.sinks.events import until

FAST = RetryRule(first=0.005, longest=0.02, idle=0.01)


class Receiver(Sink):
    """A sink that a test takes down and up."""

    name = "receiver"

    def __init__(self):
        self.title = "receiver"
        self.down = None
        self.got, self.attempts, self.idled, self.closed = [], 0, 0, False

    accepts = open = classmethod(lambda cls, address: None)

    def send(self, event):
        self.attempts += 1
        if self.down is not None:
            raise self.down
        self.got.append(event)

    def idle(self):
        self.idled += 1

    def close(self):
        self.closed = True


@pytest.fixture
def world(tmp_path):
    """A sink, its spool, the lines, and the delivery, not started."""

    class World:
        sink = Receiver()

        def __init__(self):
            self.said = []
            self.spool = Spool(tmp_path / "a.spool", 10**6)
            self.delivery = Delivery(self.sink, self.spool, self.say, FAST)

        def say(self, event, fields):
            self.said.append((event, fields))

        def put(self, *numbers):
            for number in numbers:
                self.spool.put(f'{{"number": {number}}}')

        def end(self, seconds=5):
            return self.delivery.finish(time.monotonic() + seconds)

        def states(self):
            return [fields["state"] for _, fields in self.said]

    world = World()
    yield world
    world.end(0)


def test_events_before_and_after_the_start_arrive_in_order(world):
    world.put(1, 2)
    world.delivery.start()
    world.put(3)
    assert world.end()
    assert world.sink.got == [{"number": n} for n in (1, 2, 3)]
    assert (world.said, world.sink.closed) == ([], True)
    assert world.delivery.counts() == {
        "name": "receiver",
        "delivered": 3,
        "waiting": 0,
        "spool_dropped": 0,
    }


@pytest.mark.parametrize(
    ("failure", "marked"),
    [
        (SinkDown("refused", sent=False), {}),
        (SinkDown("no answer"), {"repeated": True}),
        (ValueError("a plugin's fault"), {"repeated": True}),
    ],
)
def test_a_sink_that_is_down_gets_everything_later_in_order(
    world, failure, marked
):
    world.delivery.start()
    world.put(1)
    until(lambda: world.sink.got)
    world.sink.down = failure
    world.put(2, 3)
    until(lambda: world.sink.attempts > 3)
    world.sink.down = None
    world.put(4)
    until(lambda: len(world.sink.got) == 4)
    assert world.sink.got[1] == {"number": 2} | marked
    assert world.sink.got[2:] == [{"number": 3}, {"number": 4}]
    assert world.states() == ["down", "up"]
    down = world.said[0][1]
    assert str(failure) in down["message"]
    assert "next attempt in 0.005 seconds" in down["message"]


def test_at_the_end_a_sink_that_is_down_keeps_its_events(world):
    world.sink.down = SinkDown("refused", sent=False)
    world.delivery._rule = RetryRule(first=60)
    world.delivery.start()
    world.put(1, 2)
    until(lambda: world.said)
    begin = time.monotonic()
    assert world.end(30)
    assert time.monotonic() - begin < 20
    assert world.states() == ["down", "left"]
    assert world.said[1][1]["waiting"] == 2
    assert str(world.spool.path) in world.said[1][1]["message"]


def test_a_sink_that_hangs_is_left_alone_and_says_nothing_later(world):
    release = threading.Event()
    world.sink.send = lambda event: release.wait(30)
    world.put(1)
    world.delivery.start()
    assert not world.end(0.05)
    said = len(world.said)
    world.sink.down = SinkDown("late")
    release.set()
    world.delivery._thread.join(10)
    assert not world.delivery._thread.is_alive()
    assert len(world.said) == said


def test_what_is_not_json_is_dropped_and_said(world):
    world.spool.put("__import__('os')")
    world.put(2)
    world.delivery.start()
    assert world.end()
    assert world.sink.got == [{"number": 2}]
    ((event, fields),) = world.said
    assert event == "error"
    assert "dropped an event: is not JSON" in fields["message"]
    assert world.spool.dropped == 1


def test_the_sink_works_between_events_and_may_fail_there(world):
    world.delivery.start()
    until(lambda: world.sink.idled > 2)

    def fail():
        raise SinkDown("lost")

    world.sink.idle = fail
    until(lambda: world.said)
    world.put(1)
    until(lambda: world.sink.got)
    assert world.states()[:2] == ["down", "up"]
    until(lambda: world.states()[2:] == ["down"])
    del world.sink.idle
    until(lambda: world.states()[3:] == ["up"])


def test_a_fault_of_the_delivery_itself_is_said_and_it_goes_on(world):
    head, faults = world.spool.head, [KeyError("first")]

    def fail_once():
        if faults:
            raise faults.pop()
        return head()

    world.spool.head = fail_once
    world.put(1)
    world.delivery.start()
    until(lambda: world.sink.got)
    ((event, fields),) = world.said
    assert event == "error"
    assert "a delivery failed (KeyError: 'first')" in fields["message"]


def test_an_attempt_that_may_have_arrived_is_the_last_one_if_so_asked(world):
    world.spool.once = True
    world.sink.down = SinkDown("no answer")
    world.put(1)
    world.delivery.start()
    until(lambda: world.sink.attempts)
    world.sink.down = None
    world.put(2)
    until(lambda: world.sink.got)
    assert world.end()
    assert [event["number"] for event in world.sink.got] == [2]
    assert (world.sink.attempts, world.spool.dropped) == (2, 1)
    assert any("is not sent again" in str(said) for said in world.said)
