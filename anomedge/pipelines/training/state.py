"""Stored state of a training: tensors as safetensors, everything else as JSON in one metadata key. No pickle is read.

The file is replaced as a whole after each epoch. A SHA-256 over JSON and tensors finds damage; types, sizes and names
are checked as well, because a file with a right sum may still be another one's.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from anomedge.errors import AnomedgeError, InputError, ModelError
from anomedge.files import (
    JsonError,
    atomic_file,
    canonical_json,
    open_plain,
    parse_json,
    validated,
)
from anomedge.pipelines.stored_tensors import (
    TensorEntry,
    read_tensors,
    tensor_entries,
)

__all__ = [
    "Identity",
    "Losses",
    "TrainingState",
    "read_state",
    "refuse_other_training",
    "write_state",
]

_KEY = "anomedge_training"
_HEADER_LIMIT = 16 << 20
_TYPES = {"F64", "F32", "F16", "BF16", "I64", "I32", "U8", "BOOL"}


class Identity(BaseModel):
    """The training that a state belongs to.

    Attributes:
        detector: name of the detector.
        options: its options, as text.
        inputs: what identifies its further data, by the option that names them.
        seed: seed of all random choices.
        size: size (H, W) of the images.
        images: number of images.
        pictures: SHA-256 of the images.
        weights: SHA-256 of the weights before the first epoch.
        device: processor.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    detector: str
    options: dict[str, str]
    inputs: dict[str, str] = Field(default_factory=dict)
    seed: int
    size: tuple[int, int]
    images: int
    pictures: str
    weights: str
    device: str

    def differences(self, other: Identity) -> list[str]:
        """Return the differences of another training, in words."""
        return list(_differences(self, other))


class Losses(BaseModel):
    """Losses of the finished epochs; `held_out` is empty without early stopping."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trained: tuple[float, ...] = ()
    held_out: tuple[float, ...] = ()

    @property
    def epochs(self) -> int:
        """Number of finished epochs."""
        return len(self.trained)

    @property
    def best(self) -> int:
        """Place of the first epoch with the least loss on held-out images; of the last epoch without these."""
        if not self.held_out:
            return self.epochs - 1
        return self.held_out.index(min(self.held_out))

    def and_then(self, trained: float, held_out: float | None) -> Losses:
        """Return the losses with those of one more epoch."""
        more = () if held_out is None else (held_out,)
        return Losses(
            trained=(*self.trained, trained), held_out=(*self.held_out, *more)
        )


class _Header(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    identity: Identity
    losses: Losses
    plain: dict[str, Any] = Field(default_factory=dict)
    digest: str = ""


@dataclass(frozen=True)
class TrainingState:
    """State after an epoch.

    Attributes:
        identity: the training.
        losses: losses of the finished epochs.
        plain: numbers of optimiser and schedule, as JSON has them.
        tensors: weights, tensors of the optimiser, states of random generators.
    """

    identity: Identity
    losses: Losses
    plain: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)


def write_state(state: TrainingState, path: Path) -> None:
    """Replace the stored state atomically.

    Raises:
        OutputError: the file cannot be written.
    """
    from safetensors.torch import save_file

    tensors = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in state.tensors.items()
    }
    header = _Header(
        identity=state.identity, losses=state.losses, plain=state.plain
    )
    content = header.model_dump(mode="json")
    content["digest"] = _digest(content, tensors)
    text = canonical_json(content).decode()
    with atomic_file(path, force=True) as temporary:
        save_file(tensors, temporary, metadata={_KEY: text})


def read_state(path: Path) -> TrainingState:
    """Read a stored state.

    Raises:
        ModelError: it is damaged, or no stored training.
    """
    try:
        with open_plain(path) as file:
            content, entries = _read_header(file)
            tensors = read_tensors(file, entries, hashlib.sha256())
        header = validated(_Header, content)
        if header.digest != _digest(content, tensors):
            raise ValueError("its content does not match its SHA-256")
        _check_losses(header.losses)
    except (
        AnomedgeError,
        JsonError,
        KeyError,
        OSError,
        RuntimeError,
        TypeError,
        ValueError,
        struct.error,
    ) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"{path} is no whole state of a training ({reason}); expected one that a training wrote: "
            f"remove it to train from the start"
        ) from error
    return TrainingState(header.identity, header.losses, header.plain, tensors)


def refuse_other_training(stored: Identity, now: Identity, path: Path) -> None:
    """Check that a stored state belongs to this training.

    Raises:
        InputError: another detector, other options, pictures, weights, seed or device; all differences are named.
    """
    if found := stored.differences(now):
        raise InputError(
            f"{path} holds another training: {'; '.join(found)}; expected the same: give the same options and pictures, "
            f"or --force without --resume to train from the start"
        )


def _differences(stored: Identity, now: Identity) -> Iterator[str]:
    if stored.detector != now.detector:
        yield f"detector {stored.detector}, now {now.detector}"
        return
    earlier = stored.options | stored.inputs
    present = now.options | now.inputs
    for name in sorted(earlier.keys() | present.keys()):
        before, after = earlier.get(name), present.get(name)
        if before != after:
            yield f"--{name.replace('_', '-')} {before}, now {after}"
    for name in ("seed", "size", "images", "device"):
        before, after = getattr(stored, name), getattr(now, name)
        if before != after:
            yield f"{name} {_shown(before)}, now {_shown(after)}"
    if stored.size == now.size and stored.pictures != now.pictures:
        yield "other pictures, or another way to make images of them"
    if stored.seed == now.seed and stored.weights != now.weights:
        yield "other initial weights"


def _shown(value: Any) -> str:
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _digest(content: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of the JSON without its digest, and of all tensors by name."""
    digest = hashlib.sha256(canonical_json({**content, "digest": ""}))
    for name, tensor in sorted(tensors.items()):
        described = f"{name} {tensor.dtype} {tuple(tensor.shape)}"
        digest.update(described.encode())
        values = tensor.reshape(-1).view(torch.uint8)
        digest.update(values.numpy().data)
    return digest.hexdigest()


def _check_losses(losses: Losses) -> None:
    if not losses.epochs or len(losses.held_out) not in (0, losses.epochs):
        raise ValueError("it lacks the losses of its epochs")


def _read_header(
    file: BinaryIO,
) -> tuple[dict[str, Any], dict[str, TensorEntry]]:
    """Read JSON and tensors' entries; sizes are checked before memory is allocated."""
    (length,) = struct.unpack("<Q", file.read(8))
    if length > _HEADER_LIMIT:
        raise ValueError("it does not begin as one")
    parsed = parse_json(file.read(length))
    content = parse_json(parsed["__metadata__"][_KEY])
    entries = tensor_entries(parsed)
    for name, entry in entries.items():
        if entry.dtype not in _TYPES:
            raise ValueError(f"{name} has the type {entry.dtype}")
    return content, entries
