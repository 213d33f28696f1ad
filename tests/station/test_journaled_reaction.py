"""A reaction between the commits of its intent and its success."""

import json
import sqlite3
from pathlib import Path

import pytest

from anomedge.errors import StateLost
from anomedge.station.journal import Journal
from anomedge.station.journaled_reaction import JournaledReaction
from anomedge.station.outcome import Outcome
from anomedge.station.sources._listing import Stamp

OPTION = "--on-fail"
LINE = '{"event": "frame", "label": "anomalous"}'


class Noted:
    """A reaction that keeps what it is asked for, and what the state says then."""

    option, timeout = OPTION, 3.0

    def __init__(self, asked=lambda: None):
        self.asked, self.calls = asked, []

    def run(self, outcome):
        self.calls.append((outcome, self.asked()))

    def kill(self):
        self.calls.append("kill")

    def close(self):
        self.calls.append("close")


@pytest.fixture
def journal(tmp_path):
    made = Journal(tmp_path / "a.state", "d" * 64, Path("/frames"))
    yield made
    made.close()


def recorded(journal, **more):
    """The outcome of a frame with a signal that is to be sent."""
    event = {"name": "a", "label": "anomalous", "score": 2.0}
    entry = journal.record(event, Stamp(5, 7), now=[], later=[OPTION])
    return Outcome(LINE, "a", "anomalous", 2.0, number=entry.number, **more)


def signals(journal):
    """Outputs without their event, and whether each was begun."""
    rows = journal._database.execute("SELECT output, begun FROM signals")
    return dict(rows.fetchall())


def test_it_has_the_option_and_time_of_its_reaction(journal):
    made = JournaledReaction(Noted(), journal)
    assert (made.option, made.timeout) == (OPTION, 3.0)


def test_intent_is_stored_before_it_runs_and_success_after(journal):
    reaction = Noted(lambda: signals(journal))
    outcome = recorded(journal)
    assert signals(journal) == {OPTION: 0}
    JournaledReaction(reaction, journal).run(outcome)
    assert reaction.calls == [(outcome, {OPTION: 1})]
    assert signals(journal) == {}


def test_an_outcome_without_a_number_leaves_the_state_alone(journal):
    recorded(journal)
    journal.close()  # a change would fail
    reaction, outcome = Noted(), Outcome(LINE, "b", "anomalous", 2.0)
    JournaledReaction(reaction, journal).run(outcome)
    assert reaction.calls == [(outcome, None)]


@pytest.mark.parametrize(
    ("repeated", "marked"), [({OPTION, "line"}, True), ({"--on-pass"}, False)]
)
def test_only_what_may_have_run_before_is_marked(journal, repeated, marked):
    reaction = Noted()
    outcome = recorded(journal, repeated=frozenset(repeated))
    JournaledReaction(reaction, journal).run(outcome)
    ((got, _),) = reaction.calls
    more = {"repeated": True} if marked else {}
    assert json.loads(got.line) == json.loads(LINE) | more
    assert (got.name, got.number) == (outcome.name, outcome.number)
    assert signals(journal) == {}


def test_nothing_runs_if_the_state_cannot_be_written(journal):
    reaction, outcome = Noted(), recorded(journal)
    journal.failure = StateLost("disk is full")
    JournaledReaction(reaction, journal).run(outcome)
    assert reaction.calls == []


def test_a_success_that_cannot_be_stored_is_the_journals_failure(journal):
    outcome = recorded(journal)
    reaction = Noted(lambda: journal._database.execute("DROP TABLE signals"))
    JournaledReaction(reaction, journal).run(outcome)
    assert len(reaction.calls) == 1
    with pytest.raises(StateLost) as caught:
        journal.check()
    assert isinstance(caught.value.__cause__, sqlite3.Error)


def test_a_killed_one_runs_again_at_the_next_start(journal):
    reaction, outcome = Noted(), recorded(journal)
    made = JournaledReaction(reaction, journal)
    reaction.asked = made.kill
    made.run(outcome)
    assert "kill" in reaction.calls
    assert signals(journal) == {OPTION: 1}


def test_a_close_is_the_reactions(journal):
    reaction = Noted()
    JournaledReaction(reaction, journal).close()
    assert reaction.calls == ["close"]
