"""Which files are read at which time, and in which order: settled ones, before them those that come first."""

import pytest

from anomedge.station.sources._arrivals import Arrivals
from anomedge.station.sources._listing import Stamp
from anomedge.station.sources.base import Order


def arrivals(settle=1.0, order=Order.TIME, patience=10.0):
    return Arrivals(settle, patience, order)


def ready(waiting, now, incomplete=()):
    """Read all files that are ready."""
    names = []
    for name in waiting.ready(now, lambda name: name not in incomplete):
        names.append(name)
        waiting.finish(name)
    return names


def test_a_file_is_ready_when_it_was_unchanged_for_the_settle_time():
    waiting = arrivals(settle=2)
    waiting.note("a", Stamp(1, 10), now=0)
    waiting.note("a", Stamp(1, 20), now=1)  # it grew
    waiting.note("a", Stamp(1, 20), now=2)
    assert ready(waiting, 2.9) == []
    assert ready(waiting, 3) == ["a"]
    assert ready(waiting, 9) == []


def test_a_file_overlooked_at_first_is_read_in_its_place():
    waiting = arrivals(settle=1)
    waiting.note_all({"1": Stamp(1, 1), "3": Stamp(3, 1)}, now=0)
    waiting.note("2", Stamp(2, 1), now=0.5)
    assert ready(waiting, 1) == ["1"]
    assert ready(waiting, 1.5) == ["2", "3"]


def test_a_file_waits_for_those_before_it_for_two_settle_times():
    waiting = arrivals(settle=1, order=Order.NAME)
    waiting.note("b", Stamp(0, 1), now=0)
    for step in range(10):
        waiting.note("a", Stamp(step, 1), now=step / 2)
        assert ready(waiting, step / 2) == (["b"] if step == 4 else [])
    assert waiting.waiting == {"a"}


def test_an_overdue_file_takes_the_settled_ones_before_it_along():
    waiting = arrivals(settle=1, order=Order.NAME)
    waiting.note("c", Stamp(0, 1), now=0)
    waiting.note("b", Stamp(0, 1), now=1)
    assert ready(waiting, 1) == []
    waiting.note("a", Stamp(0, 1), now=1.9)
    assert ready(waiting, 2) == ["b", "c"]


def test_an_incomplete_file_holds_up_the_next_and_is_given_up():
    waiting = arrivals(settle=1, patience=5)
    waiting.note_all({"a": Stamp(1, 1), "b": Stamp(2, 1)}, now=0)
    assert ready(waiting, 1.5, incomplete={"a"}) == []
    assert ready(waiting, 2.5, incomplete={"a"}) == ["b"]
    assert [waiting.is_given_up("a", now) for now in (4.9, 5)] == [False, True]


def test_files_are_tested_for_completeness_one_at_a_time():
    """A thousand files that are ready must not delay the first."""
    tested, waiting = [], arrivals(settle=0)
    waiting.note_all({str(n): Stamp(n, 1) for n in range(9)}, now=0)
    found = waiting.ready(0, lambda name: not tested.append(name))
    assert (next(found), tested) == ("0", ["0"])


def test_a_file_that_was_read_waits_again_when_it_changes():
    waiting = arrivals()
    waiting.note("a", Stamp(1, 1), now=0)
    assert ready(waiting, 1) == ["a"]
    waiting.note("a", Stamp(2, 1), now=2)
    waiting.note("a", Stamp(1, 1), now=3)  # as it was read
    assert waiting.waiting == set()
    waiting.note("a", Stamp(3, 1), now=4)
    assert ready(waiting, 5) == ["a"]


def test_files_that_are_gone_are_told_and_forgotten():
    waiting = arrivals()
    waiting.note_all({"a": Stamp(1, 1), "b": Stamp(9, 1)}, now=0)
    waiting.skip({"c": Stamp(3, 1)})
    assert waiting.note_all({"b": Stamp(9, 1)}, now=1) == ["a"]
    assert waiting.known == {"b"}
    assert len(waiting) == 1


def test_an_empty_listing_forgets_no_file_that_was_read():
    waiting = arrivals()
    waiting.skip({"a": Stamp(1, 1)})
    assert waiting.note_all({}, now=0) == []
    assert waiting.known == {"a"}


@pytest.mark.parametrize(
    ("now", "expected"), [(0, 2), (2, 4), (4, 10), (10, None)]
)
def test_the_next_time_is_when_a_file_settles_is_overdue_or_is_given_up(
    now, expected
):
    waiting = arrivals(settle=2)
    assert waiting.next_time(now) is None
    waiting.note("a", Stamp(1, 1), now=0)
    for look in range(0, now + 1, 2):
        assert ready(waiting, look, incomplete={"a"}) == []
    assert waiting.next_time(now) == expected


def test_looks_that_take_long_change_no_order():
    """The file that the first look missed is seen by the second, after more than two settle times."""
    waiting = arrivals(settle=1)
    waiting.note("2", Stamp(2, 1), now=0)
    waiting.note("1", Stamp(1, 1), now=5)
    assert ready(waiting, 5) == []
    assert ready(waiting, 9) == ["1", "2"]


def test_equal_times_are_ordered_by_number_and_name():
    waiting = arrivals(settle=0)
    names = ["p2", "p10", "p09", "p9", "q1"]
    waiting.note_all({name: Stamp(5, 1) for name in names}, now=0)
    assert ready(waiting, 0) == ["p2", "p09", "p9", "p10", "q1"]
