"""The queue drops frames only, and frees a blocked reader."""

import threading

from anomedge.station import ConnectionChange, EventQueue
from tests.station.test_loop import frame


def test_connection_changes_are_never_dropped():
    queue = EventQueue(2, live=True)
    change = ConnectionChange("waiting", "camera", "gone", 1.0)
    for item in (frame(1), change, frame(2), frame(3)):
        assert queue.put(item)
    assert queue.get(0) == (change, 0)
    item, dropped = queue.get(0)
    assert (item.number, dropped, queue.dropped) == (3, 2, 2)
    queue.finish()
    assert queue.ended
    assert queue.get(0) == (None, 0)


def test_closing_frees_a_blocked_reader():
    queue = EventQueue(1, live=False)
    queue.put(frame(1))
    answers = []
    thread = threading.Thread(
        target=lambda: answers.append(queue.put(frame(2)))
    )
    thread.start()
    queue.close()
    thread.join(5)
    assert answers == [False]
