"""Options that several commands take, worded once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

__all__ = [
    "Batches",
    "Device",
    "Images",
    "Precision",
    "Runtime",
    "Runtimes",
    "Threads",
]

Batches = Annotated[
    list[int] | None,
    Option(min=1, help="Batch sizes; 1, 2, 3 and 8 when not given."),
]
Device = Annotated[
    str,
    Option(help="cpu, gpu, cuda, cuda:1, tensorrt, ... in the vendor's words."),
]
Images = Annotated[
    list[Path] | None,
    Option(
        help="Pictures to prove on. Without --model, runtimes are compared with one another."
    ),
]
Precision = Annotated[
    str,
    Option(
        help="Variant of the bundle; tf32: fp32's in TF32, on an NVIDIA GPU."
    ),
]
Runtime = Annotated[
    str | None, Option(help="The first that can run here when not given.")
]
Runtimes = Annotated[
    list[str] | None,
    Option(help="Which ones; all that can run here when not given."),
]
Threads = Annotated[int | None, Option(min=1, help="CPU threads.")]
