"""Options of the TensorRT packages."""

from __future__ import annotations

from pydantic import Field

from anomedge.runtimes.nvidia.options import GpuOptions

__all__ = ["EngineOptions", "TrtOptions"]


class EngineOptions(GpuOptions):
    """Options of `tensorrt` and `tensorrt_rtx`."""

    version_compatible: bool = Field(
        False,
        description="Build an engine that later releases read too; slower.",
    )

    def dla_core(self) -> int | None:
        """Return the deep learning accelerator to build for, if any."""
        return None


class TrtOptions(EngineOptions):
    """Options of `tensorrt`, which can use a Jetson's accelerators."""

    dla: int | None = Field(
        None,
        ge=0,
        description="Deep learning accelerator of a Jetson to build for.",
    )

    def dla_core(self) -> int | None:
        """Return the deep learning accelerator to build for, if any."""
        return self.dla
