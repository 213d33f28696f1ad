"""Tables and JSON of `anomedge inspect MODEL --device`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.table import Table

from anomedge.budget import Device, Figure
from anomedge.budget.summary import Budget
from anomedge.commands._units import format_bytes, format_quantity

__all__ = ["content", "shown"]


def content(
    budget: Budget, device: Device, suggestions: Sequence[str]
) -> dict[str, Any]:
    """Return the budget, the device and the suggestions as JSON content."""
    return budget.to_json(device) | {
        "device": device.model_dump(mode="json"),
        "suggestions": list(suggestions),
    }


def shown(
    budget: Budget, device: Device, suggestions: Sequence[str], assumed: bool
) -> list[Any]:
    """Return the parts to print.

    Args:
        budget: costs of the model.
        device: the device.
        suggestions: changes that reduce the costs.
        assumed: whether the frame size is a default.
    """
    return [
        _device(device),
        *_sources(device),
        _files(budget),
        _memory(budget, device),
        _stages(budget, device, assumed),
        *_limit(budget, device),
        *_advice(suggestions, device),
    ]


def _figures(device: Device) -> dict[tuple[str, str], Figure]:
    figures = {
        ("float32", "FLOP/s"): device.fp32,
        ("float16", "FLOP/s"): device.fp16,
        ("int8", "OP/s"): device.int8,
        ("bandwidth", "B/s"): device.bandwidth,
        ("memory", "B"): device.memory,
    }
    return {
        name: figure for name, figure in figures.items() if figure is not None
    }


def _device(device: Device) -> Table:
    table = Table(
        box=None,
        show_header=False,
        padding=(0, 2, 0, 0),
        title=device.title,
        title_justify="left",
    )
    for (name, unit), figure in _figures(device).items():
        table.add_row(
            name, format_quantity(figure.value, unit), figure.derived or ""
        )
    table.add_row("release", "", device.release)
    return table


def _sources(device: Device) -> list[str]:
    texts = dict.fromkeys(figure.source for figure in _figures(device).values())
    return [f"source: {text}" for text in texts]


def _files(budget: Budget) -> Table:
    table = Table(
        "file of the bundle",
        "size, about",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for name, size in budget.files.items():
        table.add_row(name, format_bytes(size))
    table.add_row("all, in float32", format_bytes(sum(budget.files.values())))
    return table


def _memory(budget: Budget, device: Device) -> Table:
    memory = budget.memory
    table = Table(
        f"memory, batch {budget.batch}",
        "about",
        "",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    largest = ", ".join(
        f"{_shape(value.shape)} ({format_bytes(value.bytes)})"
        for value in memory.largest[:2]
    )
    share = (
        ""
        if device.memory is None
        else f"{memory.peak / device.memory.value:.1%} of the device's; "
    )
    rows = (
        ("constants", memory.constants, "weights and statistics"),
        ("copies of them", memory.copies, "in layouts of the runtime's own"),
        (
            "freed",
            memory.freed,
            "of opening the file, kept by the system's malloc",
        ),
        ("frames", memory.inputs, ""),
        ("values", memory.values, f"alive at once, the largest {largest}"),
        (
            "room for values",
            memory.arena,
            f"what the runtime takes for them, and keeps; {format_bytes(memory.reused)} of what was freed",
        ),
        ("while opening", memory.opening, ""),
        (
            "while running",
            memory.running,
            "constants, copies, freed, frames, the rest of the room, the session's own",
        ),
        (
            "peak",
            memory.peak,
            f"{share}under ONNX Runtime on a CPU, above an idle process",
        ),
    )
    for name, size, text in rows:
        table.add_row(name, format_bytes(size), text)
    return table


def _stages(budget: Budget, device: Device, assumed: bool) -> Table:
    frames = f"frames of {_shape(budget.frame)}{', assumed (--frame)' if assumed else ''}; batch {budget.batch}; float32"
    table = Table(
        "stage", "shape", "arithmetic", "constants", "values", "limit ms\na frame", "share", "held by",
        title=frames, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0),
    )  # fmt: skip
    total = budget.milliseconds(device)
    for stage in budget.stages:
        limit = device.seconds(stage.flops, stage.bytes) * 1000 / budget.batch
        table.add_row(
            stage.name,
            _shape(stage.shape),
            format_quantity(stage.flops, "FLOP"),
            format_bytes(stage.weights),
            format_bytes(stage.moved),
            f"{limit:.3f}",
            f"{limit / total:.0%}",
            device.held_by(stage.flops, stage.bytes),
        )
    flops, weights, moved = (
        sum(getattr(s, name) for s in budget.stages)
        for name in ("flops", "weights", "moved")
    )
    sizes = format_bytes(weights), format_bytes(moved)
    table.add_row(
        "all",
        "",
        format_quantity(flops, "FLOP"),
        *sizes,
        f"{total:.3f}",
        "",
        "",
    )
    return table


def _limit(budget: Budget, device: Device) -> list[str]:
    """Return lines on the arithmetic limit and its meaning."""
    total, through = budget.milliseconds(device), budget.without_cache(device)
    return [
        f"limit: {total:.3g} ms a frame, {1000 / total:,.1f} frames a second; {through:.3g} ms where no cache keeps values.",
        "It is this graph's arithmetic at the device's peak, and each constant and each stage's values moved once. Only",
        "other arithmetic (Winograd's convolutions, TF32) gets below it; real runtimes stay above: anomedge bench.",
        "",
    ]


def _advice(suggestions: Sequence[str], device: Device) -> list[str]:
    if not suggestions:
        fits = "" if device.memory is None else ", and it fits"
        return [
            f"to change: nothing stands out: no part takes over half of the limit{fits}"
        ]
    return [
        "to change:",
        *(f"  - {line}" for line in suggestions),
        "Fit and verify again: it will decide otherwise.",
    ]


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
