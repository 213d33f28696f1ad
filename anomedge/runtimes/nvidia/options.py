"""Options of runtimes that run on NVIDIA GPUs."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from anomedge.runtimes.options import Options

__all__ = ["TF32", "GpuOptions"]

TF32 = "tf32"
"""The fp32 graph on a GPU that rounds factors to ten bits after the point.

It is a precision with its own tolerance, without a variant of its own.
"""

_SMALLEST_WORKSPACE = 1 << 20


class GpuOptions(Options):
    """Options of runtimes that run on NVIDIA GPUs.

    The command line gives fields marked `bytes` in MiB, and `anomedge build` leaves
    out fields marked `only_runs`, on which an engine does not depend.
    """

    modes: ClassVar[tuple[str, ...]] = (TF32,)

    tf32: bool = Field(False, description="Allow TF32, a precision of its own.")
    cache: Path | None = Field(
        None,
        description="Folder for engines; BUNDLE.engines when not given.",
    )
    workspace: int | None = Field(
        None,
        ge=_SMALLEST_WORKSPACE,
        description="GPU memory for the engine builder, in bytes.",
        json_schema_extra={"bytes": True},
    )
    cuda_graph: bool = Field(
        False,
        description="Record one inference as a CUDA graph; replay it.",
        json_schema_extra={"only_runs": True},
    )
    hardware_compatible: bool = Field(
        False,
        description="Build for all GPUs from Ampere on; slower. rtx always builds such engines.",
    )
