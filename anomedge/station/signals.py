"""Signals of a frame: its event goes to the line, the sinks and the commands; with a state, through its journal.

Without a state, an event is sent to its outputs and forgotten. With one, the decision and its outputs are stored first,
each output's success after it, and `resume` sends what an earlier run has not sent. The success of a sink is the commit of
its spool, which stores the event's number with it, so a sink gets each event once from here; what the spool sends twice,
it marks itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anomedge.errors import StateLost
from anomedge.inspector import Result
from anomedge.station.journal import Journal
from anomedge.station.outcome import Outcome
from anomedge.station.output import EventWriter, content_of, line_of
from anomedge.station.reactions import Reactions
from anomedge.station.sources.base import CapturedFrame, UnusableFrame
from anomedge.station.state_file import Entry

__all__ = ["Signals"]

_LINE = "line"
_SINK = "sink "

AnyFrame = CapturedFrame | UnusableFrame


@dataclass
class Signals:
    """The outputs of a station's frames.

    Args:
        output: writes the line; gives the event to the sinks.
        reactions: the commands.
        journal: the state; None for none.
        folder: the watched folder; None for a source without files.
        while_waiting: called again and again while the queue of commands is full.
    """

    output: EventWriter
    reactions: Reactions | None
    journal: Journal | None
    folder: Path | None
    while_waiting: Callable[[], None]

    def decided(
        self,
        frame: CapturedFrame,
        result: Result,
        threshold: float,
        dropped: int,
    ) -> None:
        """Signal a decided frame.

        Raises:
            StateLost: the state cannot be written; the frame is not signalled.
        """
        mask = result.mask
        found = {} if mask is None else {"anomalous_pixels": float(mask.mean())}
        fields = {
            "number": frame.number,
            "name": frame.name,
            "label": result.label,
            "score": result.score,
            "threshold": threshold,
            **found,
            "milliseconds": round(result.milliseconds, 3),
            "dropped": dropped,
        }
        self._signal("frame", frame, fields)

    def undecided(self, frame: AnyFrame, reason: str, dropped: int) -> None:
        """Signal a frame that was not inspected.

        Raises:
            StateLost: the state cannot be written; the frame is not signalled.
        """
        fields = {
            "number": frame.number,
            "name": frame.name,
            "label": "undecided",
            "message": reason,
            "dropped": dropped,
        }
        self._signal("error", frame, fields)

    def resume(self) -> None:
        """Send what earlier runs have decided and not sent, in order.

        Raises:
            StateLost: the state cannot be written.
        """
        if self.journal is None:
            return
        left: set[str] = set()
        for entry in self.journal.pending:
            if self.journal.at_most_once:
                entry = self._say_lost(entry, self.journal)
            left.update(self._foreign_outputs(entry))
            self._send(entry, self.journal)
        self.journal.pending = []
        if left:
            self.output.error(
                str(self.journal.path),
                f"signals of an earlier run wait for outputs that are not given now ({', '.join(sorted(left))}); the next start "
                "with them sends these signals",
            )

    def _signal(
        self, event: str, frame: AnyFrame, fields: Mapping[str, Any]
    ) -> None:
        if self.journal is None or frame.stamp is None:
            line = self.output.write(event, moment=frame.time, **fields)
            outcome = self._outcome(fields, line, frame)
            if self.reactions is not None:
                self.reactions.react(outcome, self.while_waiting)
            return
        content = content_of(event, frame.time, fields)
        try:
            entry = self.journal.record(
                content,
                frame.stamp,
                now=[_LINE, *(_SINK + sink for sink in self.output.sinks)],
                later=self._options_for(fields["label"]),
            )
        except StateLost as error:
            raise StateLost(
                f"{frame.name} was not signalled: {error}"
            ) from error
        self._send(entry, self.journal)

    def _send(self, entry: Entry, journal: Journal) -> None:
        """Send an event to the outputs that have not got it."""
        handed = dict(self._hand_to_sinks(entry, journal))
        got = []
        if _LINE in entry.outputs:
            content = _marked(entry.content, entry.outputs[_LINE])
            if self.output.write_line(content):
                got.append(_LINE)
        if got or handed:
            journal.done(entry.number, got, handed)
        self._submit_commands(entry)

    def _hand_to_sinks(
        self, entry: Entry, journal: Journal
    ) -> Iterator[tuple[str, int]]:
        """Give an event to the sinks; yield for each the number of the newest event that is safe."""
        mark = journal.mark(entry)
        for sink in self.output.sinks:
            output = _SINK + sink
            if output not in entry.outputs:
                continue
            newest = self.output.handed(sink, mark.state)
            if newest is None or newest < entry.number:
                repeated = entry.outputs[output] and newest is None
                content = _marked(entry.content, repeated)
                self.output.hand(sink, content, mark)
                newest = self.output.handed(sink, mark.state)
            if newest is not None:
                yield output, newest

    def _submit_commands(self, entry: Entry) -> None:
        if self.reactions is None:
            return
        content = entry.content
        outcome = Outcome(
            line_of(content),
            content["name"],
            content["label"],
            score=content.get("score"),
            reason=content.get("message", ""),
            path=None if self.folder is None else self.folder / content["name"],
            stamp=entry.stamp,
            number=entry.number,
            repeated=frozenset(
                output for output, begun in entry.outputs.items() if begun
            ),
        )
        for option in self._options_for(content["label"]):
            if option in entry.outputs:
                self.reactions.submit(option, outcome, self.while_waiting)

    def _say_lost(self, entry: Entry, journal: Journal) -> Entry:
        """Say which outputs may not have got an event, and leave them out."""
        lost = [output for output, begun in entry.outputs.items() if begun]
        for sink in self.output.sinks:
            # A spool knows whether it has the event.
            knows = self.output.handed(sink, journal.mark(entry).state)
            if knows is not None and _SINK + sink in lost:
                lost.remove(_SINK + sink)
        for output in lost:
            self.output.write(
                "lost",
                name=entry.content["name"],
                frame=entry.content["id"],
                label=entry.content["label"],
                output=output,
                message="the station was killed while this output got the event; it may not have arrived, and is not sent again",
            )
        if lost:
            journal.done(entry.number, lost)
        kept = {o: b for o, b in entry.outputs.items() if o not in lost}
        return entry._replace(outputs=kept)

    def _foreign_outputs(self, entry: Entry) -> set[str]:
        """Return outputs of an earlier run that this one does not have."""
        own = {_LINE, *(_SINK + sink for sink in self.output.sinks)}
        own.update(self._options_for(entry.content["label"]))
        return entry.outputs.keys() - own

    def _options_for(self, label: str) -> list[str]:
        return (
            [] if self.reactions is None else self.reactions.options_for(label)
        )

    def _outcome(
        self, fields: Mapping[str, Any], line: str, frame: AnyFrame
    ) -> Outcome:
        return Outcome(
            line,
            frame.name,
            fields["label"],
            score=fields.get("score"),
            reason=fields.get("message", ""),
            path=self._path_of(frame),
            stamp=frame.stamp,
        )

    def _path_of(self, frame: AnyFrame) -> Path | None:
        """Return the path of the frame's file; None for a frame without a file."""
        if isinstance(frame, CapturedFrame):
            return frame.path
        return None if self.folder is None else self.folder / frame.name


def _marked(content: Mapping[str, Any], repeated: bool) -> Mapping[str, Any]:
    return {**content, "repeated": True} if repeated else content
