"""Device memory, streams and recorded runs through `cuda-python`, whichever of its two layouts is installed."""

from __future__ import annotations

import ctypes
import importlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from anomedge.errors import RuntimeMissing
from anomedge.runtimes.base import is_there
from anomedge.runtimes.nvidia import gpus
from anomedge.runtimes.tensorrt.log import VendorError

__all__ = ["Buffer", "Cuda", "installed"]

_LAYOUTS = ("cuda.bindings.runtime", "cuda.cudart")
_DRIVER_TOO_OLD = 35
"""cudaErrorInsufficientDriver."""


def installed() -> bool:
    """True where `cuda-python` is, of any layout; nothing of CUDA is started."""
    return any(is_there(name) for name in _LAYOUTS)


class Cuda:
    """CUDA's runtime with its errors raised: `cuda("cudaMalloc", 64)` gives what the call gives, without its code."""

    def __init__(self, api: Any) -> None:
        self.api = api

    @classmethod
    def load(cls) -> Cuda:
        """Find `cuda-python`.

        Raises:
            RuntimeMissing: it is not installed, or a library that it needs is missing.
        """
        reasons = []
        for name in _LAYOUTS:
            try:
                return cls(importlib.import_module(name))
            except (ImportError, OSError, RuntimeError) as error:
                reasons.append(str(error))
        raise RuntimeMissing(
            f"cuda-python cannot be used here ({'; '.join(reasons)}); expected it, for memory on the GPU: pip install cuda-python"
        )

    def __call__(self, verb: str, *arguments: Any) -> Any:
        """Call, and give the result.

        Raises:
            VendorError: CUDA answered with an error.
        """
        code, *results = getattr(self.api, verb)(*arguments)
        if int(code) == _DRIVER_TOO_OLD and (
            found := gpus.find().gpus
        ):  # without a driver CUDA says the same
            speaks = found[0].driver.split(",")[0]
            raise VendorError(
                f"{verb}: this cuda-python is for a newer CUDA than the driver, which speaks {speaks}; install the "
                f"cuda-python of that number, for CUDA 12.6: pip install 'cuda-python==12.6.*'"
            )
        if int(code) != 0:
            raise VendorError(
                f"{verb}: {getattr(code, 'name', 'CUDA error')} ({int(code)})"
            )
        return results[0] if results else None

    def use(self, index: int) -> None:
        """Make a GPU the calling thread's; each thread has one of its own."""
        self("cudaSetDevice", index)

    def current(self) -> str:
        """The name and place of the calling thread's GPU."""
        index = int(self("cudaGetDevice"))
        name = self("cudaGetDeviceProperties", index).name
        text = name.decode() if isinstance(name, bytes) else str(name)
        return f"{text.rstrip(chr(0))} (cuda:{index})"

    def copy(
        self, target: int, source: int, count: int, kind: str, stream: Any
    ) -> None:
        """Start copying `count` bytes on a stream; `kind` is HostToDevice or DeviceToHost."""
        direction = getattr(self.api.cudaMemcpyKind, f"cudaMemcpy{kind}")
        self("cudaMemcpyAsync", target, source, count, direction, stream)


class Buffer:
    """One tensor's memory at its largest, pinned on the host and its twin on the device; allocated once."""

    def __init__(
        self, cuda: Cuda, dtype: npt.DTypeLike, largest: Sequence[int]
    ) -> None:
        self._cuda = cuda
        self.dtype = np.dtype(dtype)
        self.bytes = max(1, math.prod(largest) * self.dtype.itemsize)
        self.host = self.device = 0

    def allocate(self) -> None:
        """Take the memory; whatever comes of it, `close` frees what was taken."""
        self.host = int(self._cuda("cudaMallocHost", self.bytes))
        self.device = int(self._cuda("cudaMalloc", self.bytes))

    def view(self, shape: Sequence[int]) -> npt.NDArray[Any]:
        """The host's side as an array of this shape; it dies with the buffer."""
        memory = np.ctypeslib.as_array(
            (ctypes.c_uint8 * self.bytes).from_address(self.host)
        )
        taken: npt.NDArray[Any] = memory[
            : math.prod(shape) * self.dtype.itemsize
        ].view(self.dtype)
        return taken.reshape(tuple(shape))

    def upload(self, shape: Sequence[int], stream: Any) -> None:
        """Start copying to the device."""
        self._cuda.copy(
            self.device,
            self.host,
            math.prod(shape) * self.dtype.itemsize,
            "HostToDevice",
            stream,
        )

    def download(self, shape: Sequence[int], stream: Any) -> None:
        """Start copying from the device."""
        self._cuda.copy(
            self.host,
            self.device,
            math.prod(shape) * self.dtype.itemsize,
            "DeviceToHost",
            stream,
        )

    def close(self) -> None:
        """Free both sides; may be called again."""
        device, self.device = self.device, 0
        host, self.host = self.host, 0
        try:
            if device:
                self._cuda("cudaFree", device)
        finally:
            if host:
                self._cuda("cudaFreeHost", host)
