"""A station with a state, killed at every commit: nothing is missing, and every repeat is marked."""

import io
import json
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from anomedge.errors import StateLost
from anomedge.station import CapturedFrame, EventWriter, Station, UnusableFrame
from anomedge.station import reactions as reactions_module
from anomedge.station.deliveries import Deliveries
from anomedge.station.journal import Journal
from anomedge.station.reactions import ReactionOptions, Reactions
from anomedge.station.sources._listing import Stamp
from anomedge.station.spool import Spool
from tests.station.test_loop import SIZE, GreyInspector

NAMES = ["1.png", "2.png"]


class Killed(BaseException):
    """SIGKILL: nothing of the station runs after it."""


class Folder:
    """Two pictures, the second of them unreadable."""

    folder, title, live, missed, ignored = Path("/frames"), "list", False, 0, 0

    def remember(self, memory):
        self.known = memory.known()

    def events(self, stop):
        del stop
        for place, name in enumerate(NAMES):
            stamp = Stamp(place, 1)
            if self.known.get(name) == stamp:
                continue
            grey = np.zeros((*SIZE, 3), np.uint8)
            yield (
                UnusableFrame(2, name, "no picture", stamp=stamp)
                if place
                else CapturedFrame(1, name, grey, stamp=stamp)
            )


class Commands:
    """In the place of programs and their queue: takes the events that they would get."""

    pending = 0
    got: ClassVar[list] = []

    def __init__(self, option, line, report, timeout):
        del line, report
        self.option, self.timeout = option, timeout

    def run(self, outcome):
        Commands.got.append(json.loads(outcome.line))

    def close(self):
        pass


class Inline:
    """A queue that runs at once."""

    pending = 0

    def __init__(self, size):
        del size

    def submit(self, command, outcome, while_waiting):
        del while_waiting
        command.run(outcome)

    def close(self):
        pass


class ListSink:
    name = title = "list"

    def __init__(self, got):
        self.send = got.append

    def idle(self):
        pass

    def close(self):
        pass


class World:
    """The outputs of all runs, and the state between them."""

    def __init__(self, path, **options):
        self.path, self.options = path, options
        self.stream, self.sunk = io.StringIO(), []
        Commands.got = []

    def run(self, kill_at=None, after=False):
        """Run a station; kill it before or after its n-th commit. Return the number of commits."""
        journal = Journal(
            self.path / "state", "d", Folder.folder, **self.options
        )
        commits = killing(journal, kill_at, after)
        source = Folder()
        source.remember(journal)
        sinks = Deliveries(
            [(ListSink(self.sunk), Spool(self.path / "spool", 10**6))]
        )
        output = EventWriter(self.stream, sinks)
        lines = {"on_fail": "f", "on_error": "e", "on_pass": "p"}
        commands = Reactions(ReactionOptions(**lines), output.error, journal)
        station = Station(
            GreyInspector(), source, output, None, commands, journal=journal
        )
        try:
            station.run()
        except Killed:
            assert kill_at is not None
        return len(commits)

    @property
    def outputs(self):
        lines = [
            json.loads(line) for line in self.stream.getvalue().splitlines()
        ]
        return {
            name: [event for event in events if "label" in event]
            for name, events in {
                "line": lines,
                "sink": self.sunk,
                "commands": Commands.got,
            }.items()
        }


def killing(journal, kill_at, after):
    commit, commits = journal._commit, []

    def counted(*statements, sync):
        commits.append(statements)
        if len(commits) == kill_at and not after:
            raise Killed
        if kill_at is None or len(commits) <= kill_at:
            commit(*statements, sync=sync)
        if kill_at is not None and len(commits) >= kill_at:
            raise Killed

    journal._commit = counted
    return commits


@pytest.fixture(autouse=True)
def no_programs(monkeypatch):
    monkeypatch.setattr(reactions_module, "FrameCommand", Commands)
    monkeypatch.setattr(reactions_module, "CommandQueue", Inline)


def marks(events):
    return sum(bool(event.get("repeated")) for event in events)


def firsts(events):
    """The names of the events, without repeats; an unmarked repeat is an error."""
    seen = {}
    for event in events:
        assert event["id"] not in seen or event["repeated"]
        seen.setdefault(event["id"], event["name"])
    return list(seen.values())


COMMITS = 4 * len(NAMES)


def test_without_a_kill_every_output_gets_each_event_once(tmp_path):
    world = World(tmp_path)
    assert world.run() == COMMITS
    for events in world.outputs.values():
        assert firsts(events) == NAMES
        assert marks(events) == 0
    assert world.run() == 0
    assert [len(events) for events in world.outputs.values()] == [2, 2, 2]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", range(1, COMMITS + 1))
def test_a_kill_at_any_commit_loses_nothing_and_marks_its_repeat(
    number, after, tmp_path
):
    world = World(tmp_path)
    world.run(number, after)
    world.run()
    for events in world.outputs.values():
        assert firsts(events) == NAMES
        assert marks(events) <= 1
    assert world.run() == 0


@pytest.mark.parametrize("number", range(1, COMMITS + 1))
def test_at_most_once_says_what_it_may_have_lost(number, tmp_path):
    world = World(tmp_path, at_most_once=True)
    world.run(number)
    world.run()
    lost = [
        (event["output"], event["name"])
        for line in world.stream.getvalue().splitlines()
        if (event := json.loads(line))["event"] == "lost"
    ]
    assert len(lost) <= 1
    outputs = world.outputs
    outputs["line"] = [e for e in outputs["line"] if e["event"] != "lost"]
    outputs["sink"] = [e for e in outputs["sink"] if e["event"] != "lost"]
    for output, events in outputs.items():
        names = [event["name"] for event in events]
        assert len(set(names)) == len(names)
        here = [name for where, name in lost if where.startswith(output)]
        here += [
            n for where, n in lost if output == "commands" and where[0] == "-"
        ]
        assert set(NAMES) - set(names) <= set(here)


def test_a_station_without_space_for_its_state_signals_nothing_more(tmp_path):
    world = World(tmp_path)

    def full(*statements, sync):
        del statements, sync
        raise StateLost("the disk is full")

    journal = Journal(tmp_path / "state", "d", Folder.folder)
    journal._commit = full
    source = Folder()
    source.remember(journal)
    output = EventWriter(world.stream)
    station = Station(GreyInspector(), source, output, journal=journal)
    with pytest.raises(StateLost, match=r"1\.png was not signalled"):
        station.run()
    said = [json.loads(line) for line in world.stream.getvalue().splitlines()]
    assert [line["event"] for line in said] == ["started", "error", "stopped"]
    assert "label" not in said[1]
    assert world.run() == COMMITS
