"""CUDA memory, streams and graphs through `cuda-python`, in either of its two layouts."""

from __future__ import annotations

import ctypes
import importlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from anomedge.errors import RuntimeMissing
from anomedge.runtimes.nvidia import gpus
from anomedge.runtimes.vendors import VendorError, is_installed

__all__ = ["Buffer", "Cuda", "installed"]

_LAYOUTS = ("cuda.bindings.runtime", "cuda.cudart")
_DRIVER_TOO_OLD = 35
"""cudaErrorInsufficientDriver."""


def installed() -> bool:
    """Return whether `cuda-python` is installed; CUDA is not started."""
    return any(is_installed(name) for name in _LAYOUTS)


class Cuda:
    """CUDA's runtime; errors are raised.

    `cuda("cudaMalloc", 64)` returns the result of the call without its error code.
    """

    def __init__(self, api: Any) -> None:
        self.api = api

    @classmethod
    def load(cls) -> Cuda:
        """Import `cuda-python`.

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
            f"cuda-python cannot be used here ({'; '.join(reasons)}); "
            f"expected it, for memory on the GPU: pip install cuda-python"
        )

    def __call__(self, verb: str, *arguments: Any) -> Any:
        """Call a function of CUDA and return its result.

        Raises:
            VendorError: CUDA returned an error.
        """
        code, *results = getattr(self.api, verb)(*arguments)
        if int(code) == _DRIVER_TOO_OLD:
            _refuse_new_cuda_python(verb)
        if int(code) != 0:
            name = getattr(code, "name", "CUDA error")
            raise VendorError(f"{verb}: {name} ({int(code)})")
        return results[0] if results else None

    def use(self, index: int) -> None:
        """Select a GPU for the calling thread."""
        self("cudaSetDevice", index)

    def current(self) -> str:
        """Return name and index of the calling thread's GPU."""
        index = int(self("cudaGetDevice"))
        name = self("cudaGetDeviceProperties", index).name
        text = name.decode() if isinstance(name, bytes) else str(name)
        return f"{text.rstrip(chr(0))} (cuda:{index})"

    def copy(
        self, target: int, source: int, count: int, kind: str, stream: Any
    ) -> None:
        """Start copying `count` bytes on a stream.

        `kind` is HostToDevice or DeviceToHost.
        """
        direction = getattr(self.api.cudaMemcpyKind, f"cudaMemcpy{kind}")
        self("cudaMemcpyAsync", target, source, count, direction, stream)


def _refuse_new_cuda_python(verb: str) -> None:
    """Report a cuda-python newer than the driver; CUDA gives the same code without a driver."""
    found = gpus.find().gpus
    if not found:
        return
    supported = found[0].driver.split(",")[0]
    raise VendorError(
        f"{verb}: this cuda-python is for a newer CUDA than the driver, which "
        f"speaks {supported}; install the cuda-python of that number, for CUDA "
        f"12.6: pip install 'cuda-python==12.6.*'"
    )


class Buffer:
    """Memory of one tensor at its largest shape, pinned on the host and on the device."""

    def __init__(
        self, cuda: Cuda, dtype: npt.DTypeLike, largest: Sequence[int]
    ) -> None:
        self._cuda = cuda
        self.dtype = np.dtype(dtype)
        self.bytes = max(1, math.prod(largest) * self.dtype.itemsize)
        self.host = self.device = 0

    def allocate(self) -> None:
        """Allocate on host and device; `close` also frees a partial allocation."""
        self.host = int(self._cuda("cudaMallocHost", self.bytes))
        self.device = int(self._cuda("cudaMalloc", self.bytes))

    def view(self, shape: Sequence[int]) -> npt.NDArray[Any]:
        """Return the host memory as an array; valid until the buffer is closed."""
        memory = np.ctypeslib.as_array(
            (ctypes.c_uint8 * self.bytes).from_address(self.host)
        )
        used: npt.NDArray[Any] = memory[: self._size(shape)].view(self.dtype)
        return used.reshape(tuple(shape))

    def upload(self, shape: Sequence[int], stream: Any) -> None:
        """Start copying from host to device."""
        count = self._size(shape)
        self._cuda.copy(self.device, self.host, count, "HostToDevice", stream)

    def download(self, shape: Sequence[int], stream: Any) -> None:
        """Start copying from device to host."""
        count = self._size(shape)
        self._cuda.copy(self.host, self.device, count, "DeviceToHost", stream)

    def _size(self, shape: Sequence[int]) -> int:
        """Return the size of a shape in bytes."""
        return math.prod(shape) * self.dtype.itemsize

    def close(self) -> None:
        """Free host and device memory; later calls do nothing."""
        device, self.device = self.device, 0
        host, self.host = self.host, 0
        try:
            if device:
                self._cuda("cudaFree", device)
        finally:
            if host:
                self._cuda("cudaFreeHost", host)
