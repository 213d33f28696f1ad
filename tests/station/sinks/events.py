"""Events as a station gives them to its sinks."""

import time


def frame(number=1, **more):
    """A verdict."""
    return {
        "event": "frame",
        "time": "2001-11-27T02:44:22.881+00:00",
        "number": number,
        "name": f"{number}.png",
        "label": "anomalous",
        "score": 1.5,
        "threshold": 1.0,
        "id": f"run-{number}",
    } | more


def undecided(number=2):
    """A frame that was not inspected."""
    return {
        "event": "error",
        "time": "2001-11-27T02:44:23.881+00:00",
        "number": number,
        "name": f"{number}.png",
        "label": "undecided",
        "message": "broken",
        "id": f"run-{number}",
    }


def until(condition, seconds=10.0):
    """Wait for a condition; fail if it does not come in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come"
        time.sleep(0.005)
