"""Train a detector: from images to the detector, with a stored state after each epoch."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import (
    AbstractContextManager,
    contextmanager,
    nullcontext,
)
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from anomedge.errors import InputError, RuntimeMissing
from anomedge.extras import install_advice
from anomedge.pipelines.data import FitData
from anomedge.pipelines.training.base import TrainedPipeline
from anomedge.pipelines.training.course import Course
from anomedge.pipelines.training.images import (
    Batches,
    ShuffledBatches,
    StoredImages,
    derived_seed,
    split_places,
)
from anomedge.pipelines.training.options import TrainOptions
from anomedge.pipelines.training.precision import mixed_precision
from anomedge.pipelines.training.processor import processor_of
from anomedge.pipelines.training.state import Identity

__all__ = ["refuse_unfinished", "train"]

Detector = TypeVar("Detector", bound=TrainedPipeline[Any, Any])

_CUBLAS = "CUBLAS_WORKSPACE_CONFIG"


def train(
    kind: type[Detector], data: FitData, options: TrainOptions
) -> Detector:
    """Return a trained detector on the CPU; see `TrainedPipeline.fit`."""
    _require_lightning(kind.name)
    if data.state is not None and not (options.resume or data.restart):
        refuse_unfinished(data.state)
    device = processor_of(options.device)
    images = StoredImages(data)
    places, held_out = split_places(len(images), options, data.seed)
    batches = Batches(images, places, options.train_batch)
    seen = replace(data, normal=batches)
    others = Batches(images, held_out, options.train_batch)
    with _reproducible(device):
        torch.manual_seed(derived_seed(data.seed, "training"))
        pipeline = kind.create(seen, options)
        pipeline.prepare(seen)
        _unfreeze(pipeline)
        identity = _identity(pipeline, images, data, options, device)
        course = Course(pipeline, options, identity, len(batches), data.state)
        if data.fold:
            course.title += f", {data.fold}"
        shuffled = ShuffledBatches(
            images, places, options, data.seed, lambda: course.losses.epochs
        )
        if not course.is_finished:
            _run(course, shuffled, others if held_out else None)
        course.keep_best()
        pipeline.requires_grad_(False).eval()
        rest = replace(data, normal=others) if held_out else seen
        pipeline.finish(rest)
    pipeline.record = course.record()
    return pipeline


def _require_lightning(detector: str) -> None:
    """Import Lightning, an optional package, before the images are read.

    Raises:
        RuntimeMissing: it is not installed.
    """
    try:
        import anomedge.components.lightning.module  # noqa: F401
    except RuntimeMissing as error:
        raise RuntimeMissing(
            f"got {detector}, which is trained with Lightning, and Lightning cannot be imported; "
            f"expected it: {install_advice('train')}"
        ) from error


def refuse_unfinished(state: Path) -> None:
    """Refuse to start where an interrupted training is stored.

    Raises:
        InputError: there is a stored training.
    """
    if os.path.lexists(state):
        raise InputError(
            f"{state.parent} holds an interrupted training; expected none: continue it with --resume, "
            f"or replace it with --force, to train from the start"
        )


def _run(
    course: Course, batches: ShuffledBatches, held_out: Batches | None
) -> None:
    from anomedge.pipelines.training import module

    pipeline, device = course.pipeline, course.device
    loop = module.TrainingModule(pipeline)
    loop.course = course
    mixed: AbstractContextManager[None] = nullcontext()
    if course.options.mixed_precision:
        mixed = mixed_precision(pipeline, device)
    left = course.options.epochs - course.losses.epochs
    with mixed, course.shown():
        module.run_epochs(loop, batches, held_out, left, device)


def _unfreeze(pipeline: TrainedPipeline[Any, Any]) -> None:
    """Give the trained networks gradients, and nothing else."""
    pipeline.requires_grad_(False)
    for name in pipeline.trained:
        pipeline.get_submodule(name).requires_grad_(True)


@contextmanager
def _reproducible(device: torch.device) -> Iterator[None]:
    """Use deterministic operations, and leave torch's generators and settings as they were."""
    is_gpu = device.type == "cuda"
    backend = torch.backends.cudnn
    mode = torch.get_deterministic_debug_mode()
    former = backend.deterministic, backend.benchmark
    # Read when the first product runs on a GPU.
    os.environ.setdefault(_CUBLAS, ":4096:8")
    with torch.random.fork_rng(devices=[device] if is_gpu else []):
        torch.use_deterministic_algorithms(True, warn_only=True)
        backend.deterministic, backend.benchmark = True, False
        try:
            yield
        finally:
            torch.set_deterministic_debug_mode(mode)
            backend.deterministic, backend.benchmark = former


def _identity(
    pipeline: TrainedPipeline[Any, Any],
    images: StoredImages,
    data: FitData,
    options: TrainOptions,
    device: torch.device,
) -> Identity:
    return Identity(
        detector=pipeline.name,
        options=options.compared(),
        inputs=pipeline.inputs(),
        seed=data.seed,
        size=data.size,
        images=len(images),
        pictures=images.digest,
        weights=_digest_of(pipeline),
        device=str(device),
    )


def _digest_of(pipeline: TrainedPipeline[Any, Any]) -> str:
    """Return the SHA-256 of the tensors before the first epoch."""
    digest = hashlib.sha256(sys.byteorder.encode())
    for name, tensor in sorted(pipeline.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
