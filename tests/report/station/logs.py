"""Logs of stations for tests."""

import json
from datetime import datetime, timezone

START = 1_700_000_000.0


def event(name, seconds, /, **fields):
    moment = datetime.fromtimestamp(START + seconds, timezone.utc)
    stated = moment.isoformat(timespec="milliseconds")
    return {"event": name, "time": stated} | fields


def started(seconds=0.0, source="cam"):
    return event("started", seconds, source=source, digest="d" * 64)


def frame(number, score, seconds=None, **more):
    fields = {
        "number": number,
        "name": f"{number}.png",
        "label": "anomalous" if score > 10 else "normal",
        "score": score,
        "threshold": 10.0,
        "dropped": 1,
    }
    return event(
        "frame", number if seconds is None else seconds, **fields | more
    )


def undecided(number, message="broken"):
    fields = {"number": number, "name": "x", "dropped": 0}
    return event("error", number, label="undecided", message=message, **fields)


def drift(seconds, state, name="brightness", message="median 150"):
    return event("drift", seconds, name=name, state=state, message=message)


def distribution(seconds, **statistics):
    figures = {
        name: {"statistic": value, "limit": 0.5}
        for name, value in statistics.items()
    }
    return event("distribution", seconds, number=1, figures=figures)


def write_log(path, events):
    lines = [
        each if isinstance(each, str) else json.dumps(each) for each in events
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
