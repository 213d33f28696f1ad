"""A reaction whose intent and success are stored in the station's state."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from anomedge.errors import StateLost
from anomedge.station.command_queue import Reaction
from anomedge.station.journal import Journal
from anomedge.station.outcome import Outcome

__all__ = ["JournaledReaction"]


class JournaledReaction:
    """Runs a reaction between the commits of its intent and its success.

    A reaction that ends with an error has run; the error is said, and it does not run again. If the state cannot be written,
    nothing runs, and the loop ends with the journal's failure.

    Args:
        reaction: the reaction.
        journal: the state.
    """

    def __init__(self, reaction: Reaction, journal: Journal) -> None:
        self.option = reaction.option
        self.timeout = reaction.timeout
        self._reaction = reaction
        self._journal = journal
        self._killed = False

    def run(self, outcome: Outcome) -> None:
        """Run it for a frame; the JSON line of one that may have run before says so."""
        if outcome.number is None:
            self._reaction.run(outcome)
            return
        with suppress(StateLost):
            self._journal.begin(outcome.number, self.option)
            self._reaction.run(self._marked(outcome))
            if not self._killed:
                self._journal.done(outcome.number, [self.option])

    def kill(self) -> None:
        """Kill it; it has not run to its end, so the next start runs it again."""
        self._killed = True
        self._reaction.kill()

    def close(self) -> None:
        """Kill processes that it has left behind."""
        self._reaction.close()

    def _marked(self, outcome: Outcome) -> Outcome:
        if self.option not in outcome.repeated:
            return outcome
        line = outcome.line.removesuffix("}") + ', "repeated": true}'
        return replace(outcome, line=line)
