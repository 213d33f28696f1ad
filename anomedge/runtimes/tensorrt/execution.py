"""Run an engine: one context with a stream, memory for the largest batch, and an optional CUDA graph.

Host memory is pinned, so copies need no staging. A CUDA graph contains addresses
and shapes, so it is recorded again when a shape changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from anomedge.errors import InputError
from anomedge.runtimes.nvidia.cuda import Buffer, Cuda
from anomedge.runtimes.specs import Tensors, TensorSpec
from anomedge.runtimes.tensorrt.log import logger_of
from anomedge.runtimes.tensorrt.options import EngineOptions
from anomedge.runtimes.vendors import VendorError

__all__ = ["EngineTensor", "Execution", "UnreadableEngine"]

_TYPES = {
    "BOOL": "bool",
    "FLOAT": "float32",
    "HALF": "float16",
    "INT8": "int8",
    "INT32": "int32",
    "INT64": "int64",
    "UINT8": "uint8",
}

Shape = tuple[int, ...]


class UnreadableEngine(VendorError):
    """The release cannot deserialise the engine."""


@dataclass(frozen=True)
class EngineTensor:
    """An input or output of the engine.

    Attributes:
        shape: -1 stands for any size from `smallest` to `largest`.
    """

    name: str
    dtype: str
    shape: Shape
    is_input: bool
    smallest: Shape
    largest: Shape

    @property
    def spec(self) -> TensorSpec:
        """Type and shape, as a session describes them."""
        sizes = (None if size < 0 else size for size in self.shape)
        return TensorSpec(self.dtype, tuple(sizes))

    def check(self, shape: Shape) -> None:
        """Raise InputError unless the engine was built for a shape of this input."""
        if self.smallest <= shape <= self.largest:
            return
        batch, low, high = shape[0], self.smallest[0], self.largest[0]
        raise InputError(
            f"input {self.name!r}: got a batch of {batch}; this engine takes "
            f"{low} to {high}: build one for more with anomedge build --batch "
            f"{min(batch, low)} {max(batch, high)}, or give smaller batches"
        )


class Execution:
    """A deserialised engine on one GPU; one thread at a time may call it.

    Args:
        trt: the vendor's module.
        cuda: CUDA's runtime.
        gpu: index of the GPU.
        plan: the serialised engine.
        options: the options that the engine was built with.
    """

    def __init__(
        self,
        trt: Any,
        cuda: Cuda,
        gpu: int,
        plan: bytes,
        options: EngineOptions,
    ) -> None:
        self._trt, self._cuda, self._gpu = trt, cuda, gpu
        self._options = options
        self._stream: Any = None
        self._runtime: Any = None
        self._engine: Any = None
        self._context: Any = None
        self._graph: Any = None
        self._buffers: dict[str, Buffer] = {}
        self._input_shapes: dict[str, Shape] = {}
        self._output_shapes: dict[str, Shape] = {}
        self.tensors: list[EngineTensor] = []
        self._logger, self._recorder = logger_of(trt)
        try:
            self._open(plan)
        except BaseException:
            self.close()
            raise

    def _open(self, plan: bytes) -> None:
        cuda = self._cuda
        cuda.use(self._gpu)
        # Not the default stream: other work there would disturb a recording.
        flags = cuda.api.cudaStreamNonBlocking
        self._stream = cuda("cudaStreamCreateWithFlags", flags)
        self._runtime = self._trt.Runtime(self._logger)
        self._engine = self._deserialise(plan)
        for i in range(self._engine.num_io_tensors):
            name = self._engine.get_tensor_name(i)
            self.tensors.append(self._tensor(name))
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise self._recorder.error("no room for the engine's activations")
        self._allocate()

    def _deserialise(self, plan: bytes) -> Any:
        if self._options.version_compatible:
            # Such an engine contains the runtime that reads it.
            self._runtime.engine_host_code_allowed = True
        core = self._options.dla_core()
        if core is not None:
            self._runtime.DLA_core = core
        engine = self._runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise self._recorder.error(
                "the engine cannot be read", kind=UnreadableEngine
            )
        return engine

    def _tensor(self, name: str) -> EngineTensor:
        # No local variable holds the engine: a traceback would keep it alive
        # after its stream.
        dtype = self._engine.get_tensor_dtype(name).name
        shape = tuple(self._engine.get_tensor_shape(name))
        if dtype not in _TYPES:
            raise VendorError(
                f"{name!r} is of type {dtype}; "
                f"expected one of: {', '.join(_TYPES)}"
            )
        mode = self._engine.get_tensor_mode(name)
        is_input = mode == self._trt.TensorIOMode.INPUT
        smallest = largest = shape
        if is_input and any(size < 0 for size in shape):
            low, _, high = self._engine.get_tensor_profile_shape(name, 0)
            smallest, largest = tuple(low), tuple(high)
        return EngineTensor(
            name, _TYPES[dtype], shape, is_input, smallest, largest
        )

    @property
    def inputs(self) -> list[EngineTensor]:
        """The engine's inputs."""
        return [tensor for tensor in self.tensors if tensor.is_input]

    @property
    def outputs(self) -> list[EngineTensor]:
        """The engine's outputs."""
        return [tensor for tensor in self.tensors if not tensor.is_input]

    def _allocate(self) -> None:
        """Allocate memory for the largest shapes; addresses never change."""
        self._set_shapes(
            {tensor.name: tensor.largest for tensor in self.inputs}
        )
        largest = self._input_shapes | self._output_shapes
        for tensor in self.tensors:
            buffer = Buffer(self._cuda, tensor.dtype, largest[tensor.name])
            self._buffers[tensor.name] = buffer
            buffer.allocate()
            address = buffer.device
            if not self._context.set_tensor_address(tensor.name, address):
                raise self._recorder.error(f"{tensor.name!r} takes no address")

    def run(self, feed: Mapping[str, npt.NDArray[Any]]) -> Tensors:
        """Run a feed; return new arrays by name.

        Raises:
            InputError: the engine was not built for the batch.
            VendorError: the engine or CUDA failed.
        """
        self._cuda.use(self._gpu)
        for tensor in self.inputs:
            tensor.check(feed[tensor.name].shape)
        try:
            self._run(feed)
        except BaseException:
            # The state of the context is unknown; set the shapes again.
            self._input_shapes = {}
            raise
        return {
            name: self._buffers[name].view(shape).copy()
            for name, shape in self._output_shapes.items()
        }

    def _run(self, feed: Mapping[str, npt.NDArray[Any]]) -> None:
        self._set_shapes({name: array.shape for name, array in feed.items()})
        for name, array in feed.items():
            np.copyto(self._buffers[name].view(array.shape), array)
        if self._options.cuda_graph:
            self._replay()
        else:
            self._enqueue()
        self._cuda("cudaStreamSynchronize", self._stream)

    def _set_shapes(self, shapes: Mapping[str, Shape]) -> None:
        if shapes == self._input_shapes:
            return
        self._free_graph()
        for name, shape in shapes.items():
            if not self._context.set_input_shape(name, shape):
                raise self._recorder.error(f"{name!r} takes no {shape}")
        self._output_shapes = {}
        for tensor in self.outputs:
            shape = tuple(self._context.get_tensor_shape(tensor.name))
            if any(size < 0 for size in shape):
                raise VendorError(
                    f"the size of {tensor.name!r} depends on the data; "
                    f"expected one that the batch fixes"
                )
            self._output_shapes[tensor.name] = shape
        self._input_shapes = dict(shapes)

    def _enqueue(self) -> None:
        for name, shape in self._input_shapes.items():
            self._buffers[name].upload(shape, self._stream)
        if not self._context.execute_async_v3(int(self._stream)):
            raise self._recorder.error("the engine did not run")
        for name, shape in self._output_shapes.items():
            self._buffers[name].download(shape, self._stream)

    def _replay(self) -> None:
        if self._graph is None:
            self._graph = self._record_graph()
        self._cuda("cudaGraphLaunch", self._graph, self._stream)

    def _record_graph(self) -> Any:
        """Record one run as a CUDA graph.

        A first run outside the recording lets the context allocate memory for a
        new shape.
        """
        cuda = self._cuda
        self._enqueue()
        cuda("cudaStreamSynchronize", self._stream)
        modes = cuda.api.cudaStreamCaptureMode
        cuda(
            "cudaStreamBeginCapture",
            self._stream,
            modes.cudaStreamCaptureModeThreadLocal,
        )
        try:
            self._enqueue()
        except BaseException:
            with suppress(VendorError):
                broken = cuda("cudaStreamEndCapture", self._stream)
                cuda("cudaGraphDestroy", broken)
            raise
        graph = cuda("cudaStreamEndCapture", self._stream)
        try:
            return cuda("cudaGraphInstantiate", graph, 0)
        finally:
            cuda("cudaGraphDestroy", graph)

    def _free_graph(self) -> None:
        graph, self._graph = self._graph, None
        if graph is not None:
            self._cuda("cudaGraphExecDestroy", graph)

    def close(self) -> None:
        """Free all objects, dependent ones first; later calls do nothing."""
        stream, self._stream = self._stream, None
        # Callbacks run in reverse order; a failing one does not stop the others.
        with ExitStack() as stack:
            if stream is not None:
                stack.callback(self._cuda, "cudaStreamDestroy", stream)
            for name in ("_runtime", "_engine"):
                stack.callback(setattr, self, name, None)
            for buffer in self._buffers.values():
                stack.callback(buffer.close)
            stack.callback(setattr, self, "_context", None)
            stack.callback(self._free_graph)
            if stream is not None:
                stack.callback(self._cuda, "cudaStreamSynchronize", stream)
                stack.callback(self._cuda.use, self._gpu)
        self._recorder.emit_warnings()
