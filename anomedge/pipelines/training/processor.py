"""The processor of a training or distillation."""

from __future__ import annotations

import re
from typing import Annotated

import torch
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from anomedge.errors import DeviceMismatch

__all__ = ["ProcessorName", "processor_of"]


def _named(name: str) -> str:
    if re.fullmatch(r"cpu|cuda(:\d{1,3})?", name) is None:
        raise PydanticCustomError("device", "cpu, cuda or cuda:1")
    return name


ProcessorName = Annotated[str, AfterValidator(_named)]
"""Name of a processor: cpu, cuda, or cuda with a number such as cuda:1."""


def processor_of(name: str | None) -> torch.device:
    """Return the processor of the option `--device`; without a name a GPU if torch can use one, else the CPU.

    Raises:
        DeviceMismatch: a GPU that cannot be used.
    """
    usable = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name is None:
        return torch.device("cuda:0" if usable else "cpu")
    device = torch.device(name)
    if device.type == "cpu":
        return device
    number = device.index or 0
    if number >= usable:
        raise DeviceMismatch(
            f"got --device {name} where torch can use {usable} GPUs; "
            f"expected one of these: give --device cpu, or install torch for CUDA"
        )
    return torch.device("cuda", number)
