"""Suggest cheaper detectors where a detector does not fit a device, or one part of it takes most of the time.

Each suggestion is a detector of its own: built without data, traced, and measured like the given one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from anomedge.budget import Device, Network
from anomedge.budget.summary import PARTS, Budget, budget_of
from anomedge.budget.tracing import network_of
from anomedge.errors import ExportError, InputError, ModelError
from anomedge.pipelines import Config, Suggestion
from anomedge.pipelines.model import Model
from anomedge.progress import track
from anomedge.resample import Geometry

__all__ = ["suggestions"]

_DOMINANT = 0.5
"""Share of the time above which a part is named."""
_WORTHWHILE = 0.95
"""Largest ratio of a cost after and before that is worth a suggestion."""
_TIGHT = 0.5
"""Usable share of the device's memory; the system, camera buffers and a GPU context need the rest."""
_SUBJECTS = (
    "Preprocessing takes",
    "The backbone takes",
    "The distances take",
    "Map and score take",
)


@dataclass(frozen=True)
class _Candidate:
    """A cheaper detector, or cheaper conditions for the same one."""

    part: str
    text: str
    model: Model
    frame: tuple[int, int]
    batch: int


def suggestions(
    model: Model, network: Network, budget: Budget, device: Device
) -> list[str]:
    """Return sentences with the effect of each change; none if no part dominates and memory suffices.

    Args:
        model: the fitted detector.
        network: its graph.
        budget: the costs of that graph.
        device: the device.
    """
    total = budget.milliseconds(device)
    shares = budget.shares(device)
    part = max(shares, key=lambda name: shares[name])
    dominant = part if shares[part] > _DOMINANT * total else ""
    tight = (
        device.memory is not None
        and budget.memory.peak > _TIGHT * device.memory.value
    )
    sentences = []
    if tight:
        sentences.append(_memory_sentence(budget, device))
    if dominant:
        subject = _SUBJECTS[PARTS.index(part)]
        sentences.append(f"{subject} {shares[part] / total:.0%} of the limit.")
        sentences += _in_float16(part, budget, device)
    wanted = {}
    for candidate in _candidates(model, budget):
        if tight or candidate.part == dominant:
            wanted[candidate.text] = candidate
    description = "counting lighter detectors"
    for candidate in track(
        list(wanted.values()), description, total=len(wanted)
    ):
        sentences += _effect(candidate, network, budget, device)
    return sentences


def _memory_sentence(budget: Budget, device: Device) -> str:
    memory = device.memory
    assert memory is not None  # noqa: S101 - asked before
    share = budget.memory.peak / memory.value
    verdict = "does not fit into" if share > 1 else "leaves little of"
    return f"Memory: {budget.memory.peak / 1e6:,.0f} MB {verdict} the device's {memory.value / 1e6:,.0f} MB."


def _candidates(model: Model, budget: Budget) -> Iterator[_Candidate]:
    """Yield smaller frames, a batch of 1, and the suggestions of the detector itself."""
    height, width = model.geometry.size
    part = model.geometry.part(budget.frame)
    if part[0] > height and part[1] > width:
        half = (
            max(budget.frame[0] // 2, height),
            max(budget.frame[1] // 2, width),
        )
        text = f"Frames of {half[0]}x{half[1]}, by the camera's own mode"
        yield _Candidate("preprocessing", text, model, half, budget.batch)
    if budget.batch > 1:
        yield _Candidate("", "One frame at a time", model, budget.frame, 1)
    fitted = len(model.card.fitted)
    for suggestion in model.pipeline.suggestions(model.geometry, fitted):
        yield from _candidate(suggestion, model, budget)


def _candidate(
    suggestion: Suggestion, model: Model, budget: Budget
) -> Iterator[_Candidate]:
    """Yield the detector of a suggestion, unless it cannot be built, as for an image too small."""
    geometry = suggestion.geometry or model.geometry
    try:
        twin = _without_data(model, suggestion.config, geometry)
    except (InputError, ModelError):
        return
    yield _Candidate(
        suggestion.part, suggestion.text, twin, budget.frame, budget.batch
    )


def _effect(
    candidate: _Candidate, network: Network, budget: Budget, device: Device
) -> list[str]:
    """Return the sentence of a candidate with its time and memory, empty if neither is clearly less."""
    try:
        cheaper = network_of(
            candidate.model, candidate.frame, candidate.batch, like=network
        )
    except (ExportError, InputError):
        return []
    after = budget_of(cheaper, candidate.frame, candidate.batch)
    figures = (
        ("", after.milliseconds(device), budget.milliseconds(device), "ms"),
        ("memory ", after.memory.peak / 1e6, budget.memory.peak / 1e6, "MB"),
    )
    gains = []
    for name, now, before, unit in figures:
        if now < _WORTHWHILE * before:
            gains.append(
                f"{name}{_rounded(now)} {unit}, not {_rounded(before)}"
            )
    return [f"{candidate.text}: {'; '.join(gains)}."] if gains else []


def _in_float16(part: str, budget: Budget, device: Device) -> list[str]:
    """Return the sentence on float16, if the backbone dominates and the device computes in it."""
    if part != "backbone" or device.fp16 is None:
        return []
    speedup = device.fp16.value / device.fp32.value
    seconds = 0.0
    for stage in budget.stages:
        if stage.name.startswith("features/"):
            seconds += device.seconds(stage.flops / speedup, stage.bytes / 2)
    after = seconds * 1000 / budget.batch
    rest = budget.milliseconds(device) - budget.shares(device)[part]
    return [
        f"In float16 it would take {after:.3g} ms, all {after + rest:.3g} (export with --precision fp16)."
    ]


def _without_data(model: Model, config: Config, geometry: Geometry) -> Model:
    """Return a detector of another configuration on the device "meta"."""
    kind = type(model.pipeline)
    with torch.device("meta"):
        pipeline = kind(config, **kind.build_networks(config)).eval()
    # Loading a state marks estimators as fitted.
    pipeline.load_state_dict(pipeline.state_dict(), assign=True)
    return replace(model, pipeline=pipeline, geometry=geometry)


def _rounded(value: float) -> str:
    """Format with three significant digits; without decimals from 1000.

    >>> _rounded(39.349), _rounded(5470.4)
    ('39.3', '5,470')
    """
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
