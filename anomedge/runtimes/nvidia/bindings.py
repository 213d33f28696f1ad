"""Buffers on the GPU that sessions of ONNX Runtime read inputs from and write outputs to."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from anomedge.runtimes.specs import Tensors, TensorSpec

__all__ = ["Bindings"]


class Bindings:
    """Run a session through GPU buffers; each thread keeps its own while shapes stay the same.

    A recorded CUDA graph replays with the addresses of its recording and must not
    run in two threads at once, so all threads then share one set of buffers and
    take turns.

    Args:
        vendor: the module of ONNX Runtime.
        session: the opened session.
        outputs: outputs of the graph.
        device: kind and index of the device, such as ("cuda", 0).
        recorded: whether the session records a CUDA graph.
    """

    def __init__(
        self,
        vendor: Any,
        session: Any,
        outputs: Mapping[str, TensorSpec],
        device: tuple[str, int],
        recorded: bool,
    ) -> None:
        self._bind = partial(
            _Binding, vendor, session, outputs, device, recorded
        )
        self._own: Any = threading.local()
        self._shared: _Binding | None = None
        self._lock = threading.Lock()
        self._recorded = recorded

    def run(self, feed: Mapping[str, npt.NDArray[Any]]) -> Tensors:
        """Run a feed; the returned arrays belong to the caller."""
        if self._recorded:
            with self._lock:
                self._shared = self._shared or self._bind(feed)
                return self._shared.run(feed)
        binding: _Binding | None = getattr(self._own, "binding", None)
        if binding is None or not binding.fits(feed):
            # A run fills the outputs of the previous one, so other shapes need
            # other outputs. Free the former buffers first.
            self._own.binding = None
            binding = self._own.binding = self._bind(feed)
        return binding.run(feed)


class _Binding:
    """One set of buffers: inputs are written in place, outputs are copied back once."""

    def __init__(
        self,
        vendor: Any,
        session: Any,
        outputs: Mapping[str, TensorSpec],
        device: tuple[str, int],
        recorded: bool,
        feed: Mapping[str, npt.NDArray[Any]],
    ) -> None:
        self._session = session
        self._names = list(outputs)
        self._binding = session.io_binding()
        self._shapes = _shapes(feed)
        self._inputs: dict[str, Any] = {}
        allocate = vendor.OrtValue.ortvalue_from_shape_and_type
        for name, array in feed.items():
            value = allocate(list(array.shape), array.dtype.type, *device)
            self._inputs[name] = value
            self._binding.bind_ortvalue_input(name, value)
        for name, spec in outputs.items():
            if recorded:
                dtype = np.dtype(spec.dtype).type
                value = allocate(list(spec.shape), dtype, *device)
                self._binding.bind_ortvalue_output(name, value)
            else:
                self._binding.bind_output(name, *device)

    def fits(self, feed: Mapping[str, npt.NDArray[Any]]) -> bool:
        """Return whether the buffers have the shapes of a feed."""
        return self._shapes == _shapes(feed)

    def run(self, feed: Mapping[str, npt.NDArray[Any]]) -> Tensors:
        for name, array in feed.items():
            self._inputs[name].update_inplace(array)
        self._session.run_with_iobinding(self._binding)
        outputs = self._binding.copy_outputs_to_cpu()
        return dict(zip(self._names, outputs, strict=True))


def _shapes(feed: Mapping[str, npt.NDArray[Any]]) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in feed.items()}
