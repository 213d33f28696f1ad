"""Look at a TensorRT package: it imports, and its `Runtime` can be made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from anomedge.doctor.base import Finding, Probe
from anomedge.errors import RuntimeMissing
from anomedge.runtimes.tensorrt.log import import_tensorrt
from anomedge.runtimes.vendors import is_installed

__all__ = ["TensorRTProbe"]


class TensorRTProbe(Probe):
    """A TensorRT package.

    Attributes:
        vendor: its module.
    """

    vendor: ClassVar[str] = ""

    @classmethod
    def look(cls) -> Iterator[Finding]:
        """Import it; then make its `Runtime`, which ends the process in some releases without a driver."""
        if not is_installed(cls.vendor):
            yield Finding(cls.title, "not installed", "absent")
            return
        try:
            trt = import_tensorrt(cls.vendor, f"pip install {cls.vendor}")
        except RuntimeMissing as error:
            yield Finding(cls.title, str(error), "broken")
            return
        yield Finding(cls.title, f"{trt.__version__}, imports")
        runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
        if runtime:
            yield Finding("Runtime", "made")
        else:
            yield Finding("Runtime", "TensorRT made none", "broken")
