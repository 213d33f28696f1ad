"""Tables of the imports, from the records of their cases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

BAR = 1e-5
"""Largest error of the raw scores and maps of an import, as a share of anomalib's range."""

Record = Mapping[str, Any]

OURS = ("labels", "onnxruntime", "openvino")
"""Ways to decide with an imported model: eager, and its bundle."""

_CASE = ("anomalib", "detector", "pictures", "backbone")


def native(records: Sequence[Record]) -> str:
    """Return the table of errors, proofs and times, a row per checkpoint."""
    header = (
        *_CASE, "score", "map", "from float64", "anomalib's own from float64", "bundle", "import, s",
        "export and proof, s",
    )  # fmt: skip
    return _table(header, [list(_native(record)) for record in records])


def decisions(records: Sequence[Record]) -> str:
    """Return the table of labels that differ from `Engine.predict`, a row per checkpoint and a last row of sums."""
    header = (
        *_CASE, "labels", "anomalous", "tied", "imported, eager", "our bundle, ORT", "our bundle, OV",
        "anomalib's ONNX", "anomalib's OpenVINO",
    )  # fmt: skip
    shown = [record for record in records if "compared" in record]
    return _table(header, [*(_decisions(one) for one in shown), _sums(shown)])


def generic(records: Sequence[Record]) -> str:
    """Return the table of models that are exported with anomalib installed, a row per model."""
    header = (
        "model", "route", "batch", "ORT", "OV", "MB", "operators that not every runtime has",
    )  # fmt: skip
    return _table(header, [_generic(record) for record in records])


def _generic(record: Record) -> list[str]:
    if "failed" in record:
        return [record["model"], record["failed"], *"-----"]
    return [
        record["model"],
        record["route"],
        record["batch"],
        f"{record['ort']:.1e}",
        f"{record['ov']:.1e}",
        f"{record['mb']:.0f}",
        ", ".join(record.get("operators", [])) or "none",
    ]


def failures(records: Sequence[Record]) -> list[str]:
    """List each case over the bar, unproven, or with a label that differs; one line each."""
    found = []
    for record in records:
        name = record["case"]["name"]
        if "failed" in record:
            found.append(f"{name}: {record['failed']}")
            continue
        compared = record["compared"]
        if not error(compared) <= BAR:
            found.append(f"{name}: error {error(compared):.1e} over {BAR:.0e}")
        found += [
            f"{name}: {compared['flips'][way][0]} labels of {way} differ"
            for way in OURS
            if compared["flips"].get(way, [0])[0]
        ]
        if record["export"]["code"]:
            found.append(f"{name}: export: {record['export']['last']}")
    return found


def error(compared: Record) -> float:
    """Return the error from anomalib's model in float32, or in float64 if that is smaller.

    Both sides round. Where a bank holds a patch itself, anomalib's float32 distance is far from 0 and ours is not.

    >>> error({"score": 2e-6, "map": 6e-4, "exact": 1e-6})
    1e-06
    """
    return float(
        min(max(compared["score"], compared["map"]), compared["exact"])
    )


def unavailable(records: Sequence[Record]) -> str:
    """Return a list of what did not run, with reasons; an empty text if all ran."""
    lines = []
    for record in records:
        name = record["case"]["name"]
        if "failed" in record:
            lines.append(f"- {name}: {record['failed']}")
        for kind, found in record.get("deployed", {}).items():
            if "failed" in found:
                lines.append(f"- {name}, {kind}: {found['failed']}")
    return "\n".join(lines)


def _native(record: Record) -> Iterator[str]:
    yield from _case(record)
    if "failed" in record:
        yield from ("-", "-", "-", "-", "not imported", "-", "-")
        return
    compared = record["compared"]
    for name in ("score", "map", "exact", "own"):
        over = name == "exact" and not error(compared) <= BAR
        yield f"{compared[name]:.1e}{' **over**' if over else ''}"
    yield _verdict(record["export"])
    yield f"{record['import']['seconds']:.1f}"
    yield f"{record['export']['seconds']:.0f}"


def _verdict(export: Record) -> str:
    """Describe the proof of a bundle.

    >>> _verdict({"code": 0}), _verdict({"code": 0, "widened": 2})
    ('passed', 'passed, `--widen 2`')
    """
    if export["code"]:
        return "**failed**"
    widened = export.get("widened")
    return f"passed, `--widen {widened}`" if widened else "passed"


def _decisions(record: Record) -> list[str]:
    compared = record["compared"]
    cells = [
        *_case(record),
        *(str(compared[name]) for name in ("pictures", "anomalous", "tied")),
    ]
    cells += [_flips(compared["flips"].get(way)) for way in OURS]
    cells += [_deployed(record, kind) for kind in ("onnx", "openvino")]
    return cells


def _flips(count: Sequence[int] | None) -> str:
    """Return the labels that differ, apart from tied pictures, and those of tied ones.

    >>> _flips([2, 1]), _flips([0, 0]), _flips(None)
    ('2 + 1 tied', '0', '-')
    """
    if count is None:
        return "-"
    return f"{count[0]}{f' + {count[1]} tied' if count[1] else ''}"


def _deployed(record: Record, kind: str) -> str:
    found = record.get("deployed", {}).get(kind)
    if found is None:
        return "no file"
    if "failed" in found:
        return "does not run"
    note = f" ({found['note']})" if found["note"] else ""
    flips = _flips(record["compared"]["flips"][f"their {kind}"])
    return f"{flips}; score off by {found['shift']:.1e}{note}"


def _sums(records: Sequence[Record]) -> list[str]:
    compared = [record["compared"] for record in records]
    cells = ["all", "", "", ""]
    cells += [
        str(sum(one[name] for one in compared))
        for name in ("pictures", "anomalous", "tied")
    ]
    ways = (*OURS, "their onnx", "their openvino")
    cells += [_sum(compared, way) for way in ways]
    return [f"**{cell}**" if cell else "" for cell in cells]


def _sum(compared: Sequence[Record], way: str) -> str:
    """Return the flips of a way to decide, of how many labels."""
    counts = [one["flips"][way] for one in compared if way in one["flips"]]
    labels = sum(one["pictures"] for one in compared if way in one["flips"])
    differing = [sum(column) for column in zip(*counts, strict=True)]
    return f"{_flips(differing or [0, 0])} of {labels}"


def _case(record: Record) -> list[str]:
    case = record["case"]
    extra = "".join(
        f", {name} {value}" for name, value in case["extra"].items()
    )
    return [
        case["version"],
        case["model"] + extra,
        case["data"],
        case["backbone"],
    ]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
