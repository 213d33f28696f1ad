"""Checks of a station's soak: what each output got, compared with the parts that were written."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["Output", "Part", "check"]


class Part(NamedTuple):
    """A version of a file that the soak wrote.

    Attributes:
        name: of the file; a later part may have it again.
        label: "normal", "anomalous" or "undecided".
        sure: it stays until it is signalled; another may vanish before it is seen.
        ordered: it was written at once, so it has its place in the order.
    """

    name: str
    label: str
    sure: bool = True
    ordered: bool = True


class Output(NamedTuple):
    """Events of frames that an output got, in the order of arrival.

    Attributes:
        name: of the output.
        labels: of the frames that it is for.
        events: JSON objects.
        allowed: largest number of marked repeats: one per kill, and one per attempt that it did not confirm.
        lost: largest number of events that it may have lost.
    """

    name: str
    labels: frozenset[str]
    events: Sequence[Mapping[str, Any]]
    allowed: int
    lost: int = 0


def check(parts: Sequence[Part], output: Output) -> list[str]:
    """Return the violations of an output: gaps, unmarked or too many repeats, wrong order, wrong labels."""
    places = _places(parts, output.labels)
    violations: list[str] = []
    first: dict[str, int | None] = {}
    versions: Counter[str] = Counter()
    marked = 0
    newest = -1
    for event in output.events:
        name, number = event["name"], event["id"]
        marked += bool(event.get("repeated"))
        if number in first:
            if not event.get("repeated"):
                violations.append(f"{name} ({number}) came again, unmarked")
            continue
        place = _place(places, name, versions[name])
        versions[name] += 1
        first[number] = place
        if place is None:
            violations.append(f"{name} ({number}) was signalled too often")
            continue
        part = parts[place]
        if part.sure and event["label"] != part.label:
            violations.append(f"{name} is {event['label']}, not {part.label}")
        if part.ordered and place < newest:
            violations.append(f"{name} came after a later part")
        newest = max(newest, place if part.ordered else -1)
    if marked > output.allowed:
        violations.append(
            f"{marked} marked repeats; expected at most {output.allowed}"
        )
    got = {place for place in first.values() if place is not None}
    gaps = _gaps(parts, output, got)
    violations += gaps if len(gaps) > output.lost else []
    return [f"{output.name}: {violation}" for violation in violations]


def _gaps(
    parts: Sequence[Part], output: Output, got: Iterable[int]
) -> list[str]:
    there = set(got)
    return [
        f"{part.name} was not signalled"
        for place, part in enumerate(parts)
        if part.sure and part.label in output.labels and place not in there
    ]


def _places(
    parts: Sequence[Part], labels: frozenset[str]
) -> dict[str, list[int]]:
    """Return the places of the parts of each name that an output for these labels gets; others may get any label."""
    places: dict[str, list[int]] = {}
    for place, part in enumerate(parts):
        if not part.sure or part.label in labels:
            places.setdefault(part.name, []).append(place)
    return places


def _place(
    places: Mapping[str, Sequence[int]], name: str, version: int
) -> int | None:
    found = places.get(name, ())
    return found[version] if version < len(found) else None
