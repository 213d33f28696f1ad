"""Tables of the comparison from the same weights, from the records of the cases."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Any

Record = dict[str, Any]

STEP = (
    "| detector | pictures | anomedge with | loss | gradients | changes of the weights | changes of the batch statistics | images |"
    "\n|---|---|---|---|---|---|---|---|"
)
TRAINED = (
    "| detector | pictures | steps | side | image AUROC | pixel AUROC | AUPRO | F1 at the shipped threshold | best F1 | last loss |"
    "\n|---|---|---|---|---|---|---|---|---|---|"
)
EXACT = (
    "| detector | pictures | anomedge with | steps | largest difference of a loss | image AUROC | pixel AUROC | AUPRO | best F1 |"
    "\n|---|---|---|---|---|---|---|---|---|"
)
APART = (
    "| detector | pictures | anomedge with | image AUROC | pixel AUROC | AUPRO | best F1 |"
    "\n|---|---|---|---|---|---|---|"
)
_NAMES = ("image", "pixel", "aupro", "f1", "best_f1")
_COMPARED = ("image", "pixel", "aupro", "best_f1")
_ANOMALIB = "anomalib"
_LEAST = 1e-6
"""Differences below it are shown as such: gradients are compared after a conversion to float32."""


def one_step(records: Sequence[Record]) -> str:
    """Return loss, gradients and changes of one step, of the seed whose gradients differ most."""
    rows = [STEP]
    for group in _groups(records):
        for title in group[0]["step"]:
            worst = max(
                group,
                key=lambda each: each["step"][title]["gradients"]["worst"],
            )
            rows.append(_step_row(worst, title))
    return "\n".join(rows)


def _step_row(record: Record, title: str) -> str:
    found, factor = record["step"][title], record["factor"]
    times = "" if factor == 1 else f", ours times {factor}"
    loss = f"{found['loss']:.9f}{times}"
    cells = [
        _difference(found[name])
        for name in ("gradients", "changes", "statistics")
    ]
    return (
        f"| {record['detector']} | {record['pictures']} | {title} | {loss} | {' | '.join(cells)} "
        f"| {record['images']:.0e} |"
    )


def _difference(found: dict[str, Any]) -> str:
    if found["worst"] is None:
        return "-"
    if found["worst"] < _LEAST:
        return f"< {_LEAST:.0e}"
    return f"{found['worst']:.1e} (lengths {found['ratio']:.6f})"


def trained(records: Sequence[Record]) -> str:
    """Return the figures of the trained models: mean over the seeds, least and largest."""
    rows = [TRAINED]
    for group in _groups(records):
        first = group[0]
        for title in first["trained"]:
            runs = [each["trained"][title] for each in group]
            cells = [
                _spread([run["figures"][name] for run in runs])
                for name in _NAMES
            ]
            factor = 1 if title == _ANOMALIB else first["factor"]
            losses = [factor * run["losses"][-1] for run in runs]
            rows.append(
                f"| {first['detector']} | {first['pictures']} | {first['steps']} | {title} | {' | '.join(cells)} "
                f"| {_spread(losses, '.4g')} |"
            )
    return "\n".join(rows)


def apart(records: Sequence[Record]) -> str:
    """Return ours minus anomalib's: mean over the seeds, least and largest."""
    rows = [APART]
    for group in _groups(records):
        first = group[0]
        for title in first["trained"]:
            if title == _ANOMALIB:
                continue
            cells = [
                _spread([_minus(each, title, name) for each in group], "+.3f")
                for name in _COMPARED
            ]
            rows.append(
                f"| {first['detector']} | {first['pictures']} | {title} | {' | '.join(cells)} |"
            )
    return "\n".join(rows)


def exactly(records: Sequence[Record]) -> str:
    """Return the largest relative difference of a loss, and ours minus anomalib's, of trainings in float64."""
    rows = [EXACT]
    for group in _groups(records):
        first = group[0]
        title = next(name for name in first["trained"] if name != _ANOMALIB)
        largest = max(_loss_apart(each, title) for each in group)
        cells = [
            _spread([_minus(each, title, name) for each in group], "+.4f")
            for name in _COMPARED
        ]
        rows.append(
            f"| {first['detector']} | {first['pictures']} | {title} | {first['steps']} | {largest:.1e} | {' | '.join(cells)} |"
        )
    return "\n".join(rows)


def _loss_apart(record: Record, title: str) -> float:
    """Return the largest relative difference of a loss over all steps."""
    ours, theirs = (
        record["trained"][side]["losses"] for side in (title, _ANOMALIB)
    )
    pairs = zip(ours, theirs, strict=True)
    return max(abs(record["factor"] * x / y - 1) for x, y in pairs)


def _minus(record: Record, title: str, name: str) -> float:
    ours, theirs = (
        record["trained"][side]["figures"][name] for side in (title, _ANOMALIB)
    )
    return float(ours - theirs)


def _groups(records: Sequence[Record]) -> Iterator[list[Record]]:
    """Yield the records of each detector and set of pictures."""
    keys = dict.fromkeys(
        (record["detector"], record["pictures"]) for record in records
    )
    for key in keys:
        yield [
            record
            for record in records
            if (record["detector"], record["pictures"]) == key
        ]


def _spread(values: Sequence[float], form: str = ".3f") -> str:
    mean = format(statistics.fmean(values), form)
    if len(values) == 1:
        return mean
    return f"{mean} ({min(values):{form}} to {max(values):{form}})"


def page(
    records: Sequence[Record],
    exact: Sequence[Record],
    efficient_ad: Record | None,
    title: str,
) -> str:
    """Return the page.

    Args:
        records: of the cases.
        exact: of the same trainings in float64.
        efficient_ad: record of EfficientAD's step, if it was made.
        title: command, machine and versions.
    """
    parts = [
        "# Training from the same weights as anomalib",
        title,
        "anomalib's `Engine` trains its model; its checkpoint before the first step is imported as the initial weights of our "
        "training, whose steps have the pictures of anomalib's steps.",
        "## One step",
        "In float64, of the same images; largest relative difference of a tensor, over all seeds, and the length of ours divided by "
        "that of anomalib's over all tensors. `images`: largest difference of the scaled images of both sides, read from the "
        "same pictures, in float32. anomalib adds FastFlow's loss to a float32 zero.",
        one_step(records),
    ]
    if efficient_ad is not None:
        parts += ["### EfficientAD", _efficient_ad(efficient_ad)]
    parts += [
        "## Trained in float64",
        f"Both sides train in float64, in which rounding hardly grows, from the same weights, with the images as anomalib's model got them; {_seeds(exact)}. Ours minus anomalib's: mean "
        "(least to largest).",
        exactly(exact),
        "## Trained",
        f"Mean over the seeds (least to largest); {_seeds(records)}. The loss is that of the last step, ours multiplied where "
        "anomalib's is a sum. `weights moved by 1e-7`: the same training as in the line before, from weights that differ in their "
        "last digits; its distance to that line is what rounding alone does.",
        trained(records),
        "## Ours minus anomalib's",
        apart(records),
    ]
    return "\n\n".join(parts)


def _seeds(records: Sequence[Record]) -> str:
    numbers = dict.fromkeys(str(record["seed"]) for record in records)
    return f"seeds {', '.join(numbers)}"


def _efficient_ad(record: Record) -> str:
    """Return the lines on EfficientAD's step."""
    teacher = record["teacher"]
    return "\n".join(
        [
            "A random teacher of 16 channels, 256x256, one image, one picture from outside, the same change of colour and dropout; the step has anomalib's statistics of the teacher.",
            "",
            "| loss | gradients | changes of the weights | mean and deviation of the teacher's channels |",
            "|---|---|---|---|",
            f"| {record['loss']:.9f} | {_difference(record['gradients'])} | {_difference(record['changes'])} "
            f"| {teacher['mean']:.0e}, {teacher['std']:.0e} |",
            "",
            f"The learning rate falls {record['schedules']['ours']} here, and {record['schedules']['theirs']} in anomalib.",
        ]
    )
