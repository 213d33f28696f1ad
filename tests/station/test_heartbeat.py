"""A sign of life per interval, and one after a long pause."""

from anomedge.station.heartbeat import Heartbeat


def beats(times, seconds):
    """The times at which a sign of life is given."""
    given, clock = [], [0.0]
    heartbeat = Heartbeat(
        seconds, lambda: given.append(clock[0]), lambda: clock[0]
    )
    for clock[0] in times:
        heartbeat.beat()
    return given


def test_one_per_interval():
    times = [0.5 * step for step in range(1, 11)]
    assert beats(times, 2.0) == [2.0, 4.0]


def test_one_after_a_long_pause():
    assert beats([9.0, 9.5, 10.9, 11.0], 2.0) == [9.0, 11.0]


def test_none_without_an_interval():
    assert beats([1.0, 100.0], None) == []
