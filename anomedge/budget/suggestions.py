"""What to change where a detector does not fit a device, or one part of it takes most of the time, with its effect.

Every proposal is a detector of its own: built without numbers, traced, and counted like the one at hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import torch

from anomedge.budget import Device, Network
from anomedge.budget.summary import PARTS, Budget, budget_of
from anomedge.budget.tracing import network_of
from anomedge.components import FeatureExtractor
from anomedge.errors import ExportError, InputError, ModelError
from anomedge.pipelines._base import Config
from anomedge.pipelines.model import Model
from anomedge.progress import track
from anomedge.resample import Geometry

__all__ = ["suggestions"]

_DOMINANT = 0.5
_WORTHWHILE = 0.95
_TIGHT = 0.5
"""A share of the device's memory: the system, a camera's buffers and a GPU's context want the rest."""

_SUBJECTS = dict(
    zip(
        PARTS,
        (
            "Preprocessing takes",
            "The backbone takes",
            "The distances take",
            "Map and score take",
        ),
        strict=True,
    )
)


@dataclass(frozen=True)
class _Proposal:
    part: str
    text: str
    model: Model
    frame: tuple[int, int]
    batch: int


def suggestions(
    model: Model, network: Network, budget: Budget, device: Device
) -> list[str]:
    """Sentences, the effect in each; none where nothing stands out."""
    total, shares = budget.milliseconds(device), budget.shares(device)
    part = max(shares, key=lambda name: shares[name])
    dominant = part if shares[part] > _DOMINANT * total else ""
    tight = (
        device.memory is not None
        and budget.memory.peak > _TIGHT * device.memory.value
    )
    found = []
    if tight:
        found.append(_memory_sentence(budget, device))
    if dominant:
        found.append(
            f"{_SUBJECTS[part]} {shares[part] / total:.0%} of the limit."
        )
        found += _in_float16(part, budget, device)
    proposals = {
        p.text: p
        for p in _proposals(model, budget)
        if tight or p.part == dominant
    }
    for proposal in track(
        list(proposals.values()),
        "counting lighter detectors",
        total=len(proposals),
    ):
        found += _effect(proposal, network, budget, device)
    return found


def _memory_sentence(budget: Budget, device: Device) -> str:
    memory = device.memory
    assert memory is not None  # noqa: S101 - asked before
    share = budget.memory.peak / memory.value
    verdict = "does not fit into" if share > 1 else "leaves little of"
    return f"Memory: {budget.memory.peak / 1e6:,.0f} MB {verdict} the device's {memory.value / 1e6:,.0f} MB."


def _proposals(model: Model, budget: Budget) -> Iterator[_Proposal]:
    config, geometry = model.pipeline.config, model.geometry
    height, width = budget.frame
    if height > geometry.size[0] and width > geometry.size[1]:
        half = (
            max(height // 2, geometry.size[0]),
            max(width // 2, geometry.size[1]),
        )
        yield _Proposal(
            "preprocessing",
            f"Frames of {_size(half)}, by the camera's own mode",
            model,
            half,
            budget.batch,
        )
    if budget.batch > 1:
        yield _Proposal("", "One frame at a time", model, budget.frame, 1)
    for part, text, changed, shape in [
        *_fewer_layers(config),
        *_smaller(model),
        *_fewer_numbers(model, budget),
    ]:
        try:
            yield _Proposal(
                part,
                text,
                _twin(model, changed, shape or geometry),
                budget.frame,
                budget.batch,
            )
        except (InputError, ModelError):
            continue  # no such detector: an image too small, a backbone that is no architecture's name


_Change = tuple[str, str, Config, Geometry | None]


def _fewer_layers(config: Config) -> Iterator[_Change]:
    layers = config.layers[:-1]
    if layers:
        text = f"Without {config.layers[-1]} (fit with --layers {','.join(layers)})"
        yield (
            "backbone",
            text,
            config.model_copy(update={"layers": layers}),
            None,
        )


def _smaller(model: Model) -> Iterator[_Change]:
    """Three quarters of the image's sides; a bank of patches shrinks with the number of patches."""
    config, geometry = model.pipeline.config, model.geometry
    size, crop = (
        _three_quarters(geometry.size),
        geometry.crop and _three_quarters(geometry.crop),
    )
    shape = Geometry(size, crop)
    text = f"Images of {_size(size)} (fit with --size {_size(size)}{f' --crop {_size(crop)}' if crop else ''})"
    update: dict[str, Any] = {"size": shape.image}
    if bank := getattr(config, "n_vectors", 0):
        update["n_vectors"] = max(
            1, round(bank * prod(shape.image) / prod(config.size))
        )
    for part in ("backbone", "distances"):
        yield part, text, config.model_copy(update=update), shape


def _fewer_numbers(model: Model, budget: Budget) -> Iterator[_Change]:
    """Half of what the distances are taken to, or in."""
    config = model.pipeline.config
    if (bank := getattr(config, "n_vectors", 0)) > 1:
        grid = next(
            (
                stage.shape[1:]
                for stage in budget.stages
                if stage.name == "distances"
            ),
            (0,),
        )
        patches = prod(grid) * len(model.card.fitted)
        ratio = (
            f", fit with --coreset {bank / 2 / patches:.2g}"
            if patches >= bank
            else ""
        )
        text = f"Half of the bank ({bank // 2:,} vectors{ratio})"
        yield (
            "distances",
            text,
            config.model_copy(update={"n_vectors": bank // 2}),
            None,
        )
    if len(channels := getattr(config, "channels", ())) > 1:
        text = (
            f"Half of the channels (fit with --features {len(channels[::2])})"
        )
        yield (
            "distances",
            text,
            config.model_copy(update={"channels": channels[::2]}),
            None,
        )


def _effect(
    proposal: _Proposal, network: Network, budget: Budget, device: Device
) -> list[str]:
    """What the proposal comes to, where that is less."""
    try:
        lighter = network_of(
            proposal.model, proposal.frame, proposal.batch, like=network
        )
    except (ExportError, InputError):
        return []
    after = budget_of(lighter, proposal.frame, proposal.batch)
    figures = (
        ("", after.milliseconds(device), budget.milliseconds(device), "ms"),
        ("memory ", after.memory.peak / 1e6, budget.memory.peak / 1e6, "MB"),
    )
    gains = [
        f"{what}{_shown(now)} {unit}, not {_shown(was)}"
        for what, now, was, unit in figures
        if now < _WORTHWHILE * was
    ]
    return [f"{proposal.text}: {'; '.join(gains)}."] if gains else []


def _in_float16(part: str, budget: Budget, device: Device) -> list[str]:
    if part != "backbone" or device.fp16 is None:
        return []
    peak = device.fp16.value / device.fp32.value
    stages = [
        stage for stage in budget.stages if stage.name.startswith("features/")
    ]
    after = (
        sum(
            device.seconds(stage.flops / peak, stage.bytes / 2)
            for stage in stages
        )
        * 1000
        / budget.batch
    )
    before = budget.shares(device)[part]
    rest = budget.milliseconds(device) - before
    return [
        f"In float16 it would take {after:.3g} ms, all {after + rest:.3g} (export with --precision fp16)."
    ]


def _twin(model: Model, config: Config, geometry: Geometry) -> Model:
    """A detector of another configuration, with room for its tensors but without numbers."""
    with torch.device("meta"):
        extractor = FeatureExtractor(
            config.backbone, config.layers, pre_trained=False, size=config.size
        )
        pipeline = type(model.pipeline)(
            _within(config, sum(extractor.channels)), extractor
        ).eval()
    pipeline.load_state_dict(
        pipeline.state_dict(), assign=True
    )  # what a state_dict brought counts as fitted
    return replace(model, pipeline=pipeline, geometry=geometry)


def _within(config: Config, total: int) -> Config:
    """Of drawn channels as many as there are, evenly spread."""
    channels = getattr(config, "channels", ())
    if not channels or channels[-1] < total:
        return config
    count = min(len(channels), total)
    return config.model_copy(
        update={"channels": tuple(i * total // count for i in range(count))}
    )


def _shown(value: float) -> str:
    """Three digits that count.

    >>> _shown(39.349), _shown(5470.4)
    ('39.3', '5,470')
    """
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _three_quarters(size: tuple[int, int]) -> tuple[int, int]:
    """In steps of 32 pixels, what backbones halve five times."""
    height, width = (max(32, round(n * 0.75 / 32) * 32) for n in size)
    return height, width
