"""Record in the file of a teacher: what it was distilled from, and the licence of those weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from anomedge.files import JsonError, canonical_json, parse_json, validated

__all__ = ["TeacherRecord", "read_record", "write_teacher"]

_KEY = "anomedge_teacher"
Text = Annotated[str, Field(max_length=2000)]


class TeacherRecord(BaseModel):
    """Facts of a distillation.

    Attributes:
        backbone: architecture of the backbone.
        weights: name of its weights.
        weights_licence: their licence.
        steps: steps of the distillation.
        seed: seed of all random choices.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    backbone: Text
    weights: Text
    weights_licence: Text
    steps: int
    seed: int


def write_teacher(
    tensors: Mapping[str, Tensor], record: TeacherRecord, path: Path
) -> None:
    """Write the file of a teacher; equal tensors and records give equal bytes."""
    from safetensors.torch import save_file

    text = canonical_json(record.model_dump(mode="json")).decode()
    # safetensors writes several keys in any order.
    save_file(dict(tensors), path, metadata={_KEY: text})


def read_record(path: Path) -> TeacherRecord | None:
    """Return the record of a teacher; None for other files, which have none."""
    from safetensors import SafetensorError, safe_open

    if path.suffix != ".safetensors":
        return None
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {})[_KEY]
        return validated(TeacherRecord, parse_json(text))
    except (JsonError, KeyError, OSError, SafetensorError, ValueError):
        return None
