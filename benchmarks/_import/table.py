"""Tables of the imports, from the records of their cases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

BAR = 1e-5
"""Largest error of a raw score or map of an import, as a share of anomalib's range."""

Record = Mapping[str, Any]

_CASE = ("anomalib", "detector", "pictures", "backbone")


def native(records: Sequence[Record]) -> str:
    """Return the table of errors, proofs and times, a row per checkpoint."""
    header = (
        *_CASE, "score", "map", "bundle", "import, s", "export and proof, s",
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
    header = ("model", "route", "batch", "ORT", "OV", "MB")
    rows = []
    for record in records:
        if "failed" in record:
            rows.append([record["model"], record["failed"], *"----"])
            continue
        rows.append(
            [
                record["model"],
                record["route"],
                record["batch"],
                f"{record['ort']:.1e}",
                f"{record['ov']:.1e}",
                f"{record['mb']:.0f}",
            ]
        )
    return _table(header, rows)


def failures(records: Sequence[Record]) -> list[str]:
    """List each case over the bar, unproven, or with a label that differs; one line each."""
    found = []
    for record in records:
        name = record["case"]["name"]
        if "failed" in record:
            found.append(f"{name}: {record['failed']}")
            continue
        compared = record["compared"]
        worst = max(compared["score"], compared["map"])
        if not worst <= BAR:
            found.append(f"{name}: error {worst:.1e} over {BAR:.0e}")
        found += [
            f"{name}: {count} labels of {way} differ"
            for way, count in compared["flips"].items()
            if count
        ]
        if record["export"]["code"]:
            found.append(f"{name}: export: {record['export']['last']}")
    return found


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
        yield from ("-", "-", "not imported", "-", "-")
        return
    compared = record["compared"]
    for name in ("score", "map"):
        mark = "" if compared[name] <= BAR else " **over**"
        yield f"{compared[name]:.1e}{mark}"
    yield "**failed**" if record["export"]["code"] else "passed"
    yield f"{record['import']['seconds']:.1f}"
    yield f"{record['export']['seconds']:.0f}"


def _decisions(record: Record) -> list[str]:
    compared = record["compared"]
    cells = [
        *_case(record),
        *(str(compared[name]) for name in ("pictures", "anomalous", "tied")),
    ]
    cells += [
        str(compared["flips"].get(way, "-"))
        for way in ("labels", "onnxruntime", "openvino")
    ]
    cells += [_deployed(record, kind) for kind in ("onnx", "openvino")]
    return cells


def _deployed(record: Record, kind: str) -> str:
    found = record.get("deployed", {}).get(kind)
    if found is None:
        return "no file"
    if "failed" in found:
        return "does not run"
    note = f" ({found['note']})" if found["note"] else ""
    return f"{found['flips']}{note}"


def _sums(records: Sequence[Record]) -> list[str]:
    compared = [record["compared"] for record in records]
    cells = ["all", "", "", ""]
    cells += [
        str(sum(one[name] for one in compared))
        for name in ("pictures", "anomalous", "tied")
    ]
    for way in ("labels", "onnxruntime", "openvino"):
        counts = [one["flips"][way] for one in compared if way in one["flips"]]
        cells.append(str(sum(counts)))
    cells += [_sum_deployed(records, kind) for kind in ("onnx", "openvino")]
    return [f"**{cell}**" if cell else "" for cell in cells]


def _sum_deployed(records: Sequence[Record], kind: str) -> str:
    """Return the flips of those exports that run, of how many labels."""
    flips = labels = 0
    for record in records:
        found = record.get("deployed", {}).get(kind, {})
        if "flips" in found:
            flips += found["flips"]
            labels += record["compared"]["pictures"]
    return f"{flips} of {labels}"


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
