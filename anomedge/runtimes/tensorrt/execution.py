"""An engine at work: one context with a stream, memory for the largest batch, and where asked for a recorded run.

The host's side of the memory is pinned, so copies need no staging. A recorded run (a CUDA graph) holds addresses and
shapes, so it is recorded again when a shape changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from anomedge.errors import InputError
from anomedge.runtimes.base import Tensors, TensorSpec
from anomedge.runtimes.nvidia.cuda import Buffer, Cuda
from anomedge.runtimes.tensorrt.log import VendorError, listen

__all__ = ["Execution", "Port", "UnreadableEngine"]

_TYPES = {
    "BOOL": "bool",
    "FLOAT": "float32",
    "HALF": "float16",
    "INT8": "int8",
    "INT32": "int32",
    "INT64": "int64",
    "UINT8": "uint8",
}


class UnreadableEngine(VendorError):
    """The release does not read what it is given as an engine."""


@dataclass(frozen=True)
class Port:
    """An input or output of the engine; -1 in its shape is any size from `least` to `largest`."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    is_input: bool
    least: tuple[int, ...]
    largest: tuple[int, ...]

    @property
    def spec(self) -> TensorSpec:
        """As a session describes it."""
        return TensorSpec(
            self.dtype, tuple(None if size < 0 else size for size in self.shape)
        )


class Execution:
    """A deserialised engine, ready to run on one GPU; to be called by one thread at a time."""

    def __init__(
        self,
        trt: Any,
        cuda: Cuda,
        gpu: int,
        plan: bytes,
        *,
        record: bool,
        host_code: bool,
        dla: int | None,
    ) -> None:
        self._cuda, self._gpu, self._record = cuda, gpu, record
        self._stream: Any = None
        self._runtime: Any = None
        self._engine: Any = None
        self._context: Any = None
        self._graph: Any = None
        self._buffers: dict[str, Buffer] = {}
        self._given: dict[str, tuple[int, ...]] = {}
        self._results: dict[str, tuple[int, ...]] = {}
        log, self._lines = listen(trt)
        try:
            cuda.use(gpu)
            # Apart from the default stream: a recording must not meet what others do there.
            self._stream = cuda(
                "cudaStreamCreateWithFlags", cuda.api.cudaStreamNonBlocking
            )
            self._runtime = trt.Runtime(log)
            self._engine = self._deserialised(plan, host_code, dla)
            names = [
                self._engine.get_tensor_name(i)
                for i in range(self._engine.num_io_tensors)
            ]
            self.ports = [self._port(trt, name) for name in names]
            self._context = self._engine.create_execution_context()
            if self._context is None:
                raise self._lines.failure(
                    "no room for the engine's activations"
                )
            self._allocate()
        except BaseException:
            self.close()
            raise

    def _deserialised(
        self, plan: bytes, host_code: bool, dla: int | None
    ) -> Any:
        if host_code:
            self._runtime.engine_host_code_allowed = True  # a version-compatible engine brings the runtime that reads it
        if dla is not None:
            self._runtime.DLA_core = dla
        engine = self._runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise self._lines.failure(
                "the engine cannot be read", kind=UnreadableEngine
            )
        return engine

    def _port(self, trt: Any, name: str) -> Port:
        # No local name for the engine: a traceback that holds it would keep it open after its stream.
        kind, shape = (
            self._engine.get_tensor_dtype(name).name,
            tuple(self._engine.get_tensor_shape(name)),
        )
        if kind not in _TYPES:
            raise VendorError(
                f"{name!r} is of type {kind}; expected one of: {', '.join(_TYPES)}"
            )
        is_input = self._engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
        least = largest = shape
        if is_input and any(size < 0 for size in shape):
            low, _, high = self._engine.get_tensor_profile_shape(name, 0)
            least, largest = tuple(low), tuple(high)
        return Port(name, _TYPES[kind], shape, is_input, least, largest)

    def _allocate(self) -> None:
        """Memory for the largest shapes, at addresses that stay."""
        self._shape(
            {port.name: port.largest for port in self.ports if port.is_input}
        )
        largest = self._given | self._results
        for port in self.ports:
            buffer = self._buffers[port.name] = Buffer(
                self._cuda, port.dtype, largest[port.name]
            )
            buffer.allocate()
            if not self._context.set_tensor_address(port.name, buffer.device):
                raise self._lines.failure(f"{port.name!r} takes no address")

    def run(self, feed: Mapping[str, npt.NDArray[Any]]) -> Tensors:
        """Named arrays in, new arrays out.

        Raises:
            InputError: a batch outside what the engine was built for.
            VendorError: the engine or CUDA failed.
        """
        self._cuda.use(self._gpu)
        self._check(feed)
        try:
            self._shape({name: array.shape for name, array in feed.items()})
            for name, array in feed.items():
                np.copyto(self._buffers[name].view(array.shape), array)
            if self._record:
                self._replay()
            else:
                self._enqueue()
            self._cuda("cudaStreamSynchronize", self._stream)
        except BaseException:
            self._given = {}  # what the context holds is not known any more
            raise
        return {
            name: self._buffers[name].view(shape).copy()
            for name, shape in self._results.items()
        }

    def _check(self, feed: Mapping[str, npt.NDArray[Any]]) -> None:
        for port in self.ports:
            if (
                port.is_input
                and not port.least <= feed[port.name].shape <= port.largest
            ):
                count, least, largest = (
                    len(feed[port.name]),
                    port.least[0],
                    port.largest[0],
                )
                raise InputError(
                    f"input {port.name!r}: got a batch of {count}; this engine takes {least} to {largest}: build one for "
                    f"more with anomedge build --batch {min(count, least)} {max(count, largest)}, or give smaller batches"
                )

    def _shape(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        if shapes == self._given:
            return
        self._forget_graph()
        for name, shape in shapes.items():
            if not self._context.set_input_shape(name, shape):
                raise self._lines.failure(f"{name!r} takes no {shape}")
        self._results = {
            port.name: tuple(self._context.get_tensor_shape(port.name))
            for port in self.ports
            if not port.is_input
        }
        if unknown := [
            name
            for name, shape in self._results.items()
            if any(size < 0 for size in shape)
        ]:
            raise VendorError(
                f"the size of {unknown[0]!r} depends on the data; expected one that the batch fixes"
            )
        self._given = dict(shapes)

    def _enqueue(self) -> None:
        for name, shape in self._given.items():
            self._buffers[name].upload(shape, self._stream)
        if not self._context.execute_async_v3(int(self._stream)):
            raise self._lines.failure("the engine did not run")
        for name, shape in self._results.items():
            self._buffers[name].download(shape, self._stream)

    def _replay(self) -> None:
        if self._graph is None:
            self._graph = self._recorded()
        self._cuda("cudaGraphLaunch", self._graph, self._stream)

    def _recorded(self) -> Any:
        """A first run outside of the recording: the context does there what a new shape needs."""
        self._enqueue()
        self._cuda("cudaStreamSynchronize", self._stream)
        mode = self._cuda.api.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._cuda("cudaStreamBeginCapture", self._stream, mode)
        try:
            self._enqueue()
        except BaseException:
            with suppress(VendorError):
                self._cuda(
                    "cudaGraphDestroy",
                    self._cuda("cudaStreamEndCapture", self._stream),
                )
            raise
        graph = self._cuda("cudaStreamEndCapture", self._stream)
        try:
            return self._cuda("cudaGraphInstantiate", graph, 0)
        finally:
            self._cuda("cudaGraphDestroy", graph)

    def _forget_graph(self) -> None:
        graph, self._graph = self._graph, None
        if graph is not None:
            self._cuda("cudaGraphExecDestroy", graph)

    def close(self) -> None:
        """Free everything, what depends on others before them; may be called again."""
        with (
            ExitStack() as ending
        ):  # the last one said is the first one done; one that fails stops no other
            stream, self._stream = self._stream, None
            if stream is not None:
                ending.callback(self._cuda, "cudaStreamDestroy", stream)
            for name in ("_runtime", "_engine"):
                ending.callback(setattr, self, name, None)
            for buffer in self._buffers.values():
                ending.callback(buffer.close)
            ending.callback(setattr, self, "_context", None)
            ending.callback(self._forget_graph)
            if stream is not None:
                ending.callback(self._cuda, "cudaStreamSynchronize", stream)
                ending.callback(self._cuda.use, self._gpu)
        self._lines.tell()
