"""Run a module on a few images before an export: its outputs, its state and its dependence on the rest of the batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anomedge.components.module_backbones import first_line
from anomedge.errors import AnomedgeError, ModelError
from anomedge.interop.module import ModulePipeline

__all__ = ["Probe", "check_tensors", "probe"]

Stages = dict[str, Tensor]

_BATCH_TOLERANCE = 1e-3
_REPEAT_TOLERANCE = 1e-5
"""Shares of the range of a module's values: rounding depends on the batch size, hardly on the call."""
_FLOOR = 0.05
"""Least range, as a fraction of the largest value; see `anomedge.threshold`."""


@dataclass(frozen=True)
class Probe:
    """Result of the runs of a module.

    Attributes:
        takes_batches: whether it takes more than one image at a time.
        has_map: whether it gives an anomaly map.
    """

    takes_batches: bool
    has_map: bool


def check_tensors(module: nn.Module) -> None:
    """Check that all tensors of a module are on the CPU and in float32, or integers.

    Raises:
        ModelError: a tensor is not.
    """
    tensors = [*module.named_parameters(), *module.named_buffers()]
    for name, tensor in tensors:
        if tensor.device.type != "cpu":
            raise ModelError(
                f"the module's tensor {name} is on {tensor.device}; expected the CPU, where the reference runs: call "
                f"module.cpu()"
            )
        if tensor.is_complex() or (
            tensor.is_floating_point() and tensor.dtype != torch.float32
        ):
            raise ModelError(
                f"the module's tensor {name} is {str(tensor.dtype).removeprefix('torch.')}; expected float32: call "
                f"module.float()"
            )


def probe(
    pipeline: ModulePipeline, images: Tensor, batch: int | None
) -> Probe:
    """Run a module on images alone, together and in another order.

    Args:
        pipeline: the detector around it, in evaluation mode.
        images: (N, 3, H, W) in [0, 1], at least 2, different from each other.
        batch: the fixed batch size of the export; 1 allows a result that depends on the rest of the batch.

    Raises:
        ModelError: the module cannot run, changes its input or its state, is random, or its outputs are not finite, have
            another shape, or depend on the rest of the batch.
    """
    alone = _run_alone(pipeline, images)
    _check_finite(alone)
    _check_repeated(pipeline, images, alone)
    together = _in_any_order(pipeline, images) if batch != 1 else []
    for stages in together:
        _check_equal(alone, stages, len(images))
    if batch not in {None, 1} and not together:
        raise ModelError(
            f"the module fails on {len(images)} images at once, and takes one alone; expected one that takes {batch}: "
            f"give batch=1"
        )
    return Probe(
        takes_batches=bool(together), has_map="anomaly_map" in alone
    )


def _run_alone(pipeline: ModulePipeline, images: Tensor) -> Stages:
    """Return the stages of each image by itself; check that neither the images nor the module change."""
    buffers = {
        name: buffer.clone()
        for name, buffer in pipeline.held.named_buffers()
    }
    versions = {
        name: parameter._version
        for name, parameter in pipeline.held.named_parameters()
    }
    given = images.clone()
    try:
        stages = _joined([_run(pipeline, image) for image in given.split(1)])
    finally:
        changed = _restored(pipeline.held, buffers)
    for name, parameter in pipeline.held.named_parameters():
        if parameter._version != versions.get(name):
            changed.append(name)
    if changed:
        raise ModelError(
            f"the module changes its tensor {changed[0]} when it runs; expected one whose tensors stay the same: remove "
            f"that, or call module.eval()"
        )
    if not torch.equal(given, images):
        raise ModelError(
            "the module writes into its input; expected one that leaves it: use operators that are not in place, such as "
            "x * 2 for x.mul_(2)"
        )
    return stages


def _run(pipeline: ModulePipeline, images: Tensor) -> Stages:
    try:
        with torch.no_grad():
            return pipeline.stages(images)
    except AnomedgeError:
        raise
    except Exception as error:
        raise ModelError(
            f"the module fails on images of {tuple(images.shape)} ({type(error).__name__}: {first_line(error)}); "
            f"expected a score and a map: give another size, or correct the module"
        ) from error


def _joined(parts: Sequence[Stages]) -> Stages:
    names = list(parts[0])
    for stages in parts:
        if list(stages) != names:
            raise ModelError(
                f"the module gives {', '.join(stages)} for one image and {', '.join(names)} for another; expected the "
                f"same outputs for all"
            )
    return {name: torch.cat([part[name] for part in parts]) for name in names}


def _restored(module: nn.Module, before: dict[str, Tensor]) -> list[str]:
    """Give changed buffers their former values; return their names."""
    changed = []
    for name, buffer in module.named_buffers():
        former = before.get(name)
        if former is None or former.shape != buffer.shape:
            changed.append(name)
        elif not torch.equal(former, buffer) and not _both_nan(former, buffer):
            buffer.copy_(former)
            changed.append(name)
    return changed


def _both_nan(a: Tensor, b: Tensor) -> bool:
    return bool(((a == b) | (a.isnan() & b.isnan())).all())


def _check_finite(stages: Stages) -> None:
    for name, value in stages.items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise ModelError(
                f"the module's {name} is not finite on some images; expected numbers: check its weights, and mean and std"
            )


def _check_repeated(
    pipeline: ModulePipeline, images: Tensor, alone: Stages
) -> None:
    """Check that the first image has the same result after others; the module may have counted calls, or be random."""
    again = _run(pipeline, images[:1])
    for name, value in again.items():
        error = _error(alone[name], value, alone[name][:1])
        if error > _REPEAT_TOLERANCE:
            raise ModelError(
                f"the module's {name} moves by {error:.1e} of its range between two calls with one image; expected the "
                f"same result: remove randomness and state"
            )


def _in_any_order(pipeline: ModulePipeline, images: Tensor) -> list[Stages]:
    """Return the stages of all images at once, twice, the second time run in reverse order; none if that fails."""
    try:
        forward = _run(pipeline, images)
        backward = _run(pipeline, images.flip(0))
    except ModelError:
        return []
    return [
        forward,
        {name: value.flip(0) for name, value in backward.items()},
    ]


def _check_equal(alone: Stages, together: Stages, count: int) -> None:
    for name in ("score", "anomaly_map"):
        if name not in alone:
            continue
        error = _error(alone[name], together[name], alone[name])
        if error > _BATCH_TOLERANCE:
            raise ModelError(
                f"the module's {name} moves by {error:.1%} of its range when an image is one of {count} in a batch; "
                f"expected results that do not depend on the rest of the batch: change the module, or give batch=1"
            )


def _error(every: Tensor, value: Tensor, expected: Tensor) -> float:
    """Return the largest difference as a fraction of the range of all values; infinite for values of other shapes."""
    if value.shape != expected.shape:
        return float("inf")
    low, high = (float(end) for end in every.float().aminmax())
    span = max(high - low, _FLOOR * max(abs(low), abs(high)))
    difference = float((value.float() - expected.float()).abs().max())
    return difference / span if span else difference
