"""CUDA's runtime as `cuda-python` shows it, over the host's memory.

Work on a stream waits until somebody synchronises, so what forgets to reads nothing. What real CUDA punishes later is a
`problem` at once: memory freed twice or while in use, a thread that never chose its GPU, a copy past a buffer's end.
"""

import enum
import threading
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import numpy as np


class FakeError(enum.IntEnum):
    cudaSuccess = 0
    cudaErrorMemoryAllocation = 2
    cudaErrorInsufficientDriver = 35


class cudaMemcpyKind(enum.IntEnum):
    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2


class cudaStreamCaptureMode(enum.IntEnum):
    cudaStreamCaptureModeThreadLocal = 1


class FakeCuda(ModuleType):
    """`fail` names calls that answer with an error; `alive` counts what the fake TensorRT has open."""

    def __init__(self, names=("Fake GPU",)):
        super().__init__("cuda.bindings.runtime")
        self.__spec__ = ModuleSpec(self.__name__, None)
        self.names = names
        self.cudaMemcpyKind, self.cudaStreamCaptureMode = (
            cudaMemcpyKind,
            cudaStreamCaptureMode,
        )
        self.cudaStreamNonBlocking = 1
        self.memory = {"host": {}, "device": {}}
        self.streams, self.graphs, self.alive = (
            {},
            {},
            {"context": 0, "engine": 0, "runtime": 0},
        )
        self.code = FakeError.cudaErrorMemoryAllocation
        self.fail, self.problems, self.calls, self.capturing = (
            set(),
            [],
            [],
            None,
        )
        self.chosen, self.made = {}, 0

    def __getattribute__(self, name):
        value = super().__getattribute__(name)
        if not name.startswith("cuda") or isinstance(value, type | int):
            return value

        def call(*arguments):
            self.calls.append(name)
            if name in self.fail:
                return (self.code, None)
            if (
                name != "cudaSetDevice"
                and threading.get_ident() not in self.chosen
            ):
                self.problems.append(f"{name} on a thread that chose no GPU")
            results = value(*arguments)
            return (
                FakeError.cudaSuccess,
                *(() if results is None else (results,)),
            )

        return call

    def left(self):
        """What nobody freed."""
        memory = [
            f"{side} {address}"
            for side, held in self.memory.items()
            for address in held
        ]
        return (
            memory
            + [f"stream {s}" for s in self.streams]
            + [f"graph {g}" for g in self.graphs]
        )

    def _number(self):
        self.made += 1
        return self.made

    def cudaSetDevice(self, index):
        self.chosen[threading.get_ident()] = index

    def cudaGetDevice(self):
        return self.chosen[threading.get_ident()]

    def cudaGetDeviceProperties(self, index):
        return SimpleNamespace(name=self.names[index].encode())

    def _allocate(self, side, size):
        held = np.full(size, 0xAB, np.uint8)
        self.memory[side][held.ctypes.data] = held
        return held.ctypes.data

    def cudaMalloc(self, size):
        return self._allocate("device", size)

    def cudaMallocHost(self, size):
        return self._allocate("host", size)

    def _free(self, side, address):
        if address not in self.memory[side]:
            self.problems.append(f"{side} memory freed that is not held")
        if self.alive["context"]:
            self.problems.append(f"{side} memory freed under an open context")
        self.memory[side].pop(address, None)

    def cudaFree(self, address):
        self._free("device", address)

    def cudaFreeHost(self, address):
        self._free("host", address)

    def cudaStreamCreateWithFlags(self, flags):
        if flags != self.cudaStreamNonBlocking:
            self.problems.append("a stream that waits for the default one")
        number = self._number()
        self.streams[number] = []
        return number

    def cudaStreamDestroy(self, stream):
        if any(self.alive.values()):
            self.problems.append(f"stream destroyed under {self.alive}")
        del self.streams[stream]

    def enqueue(self, stream, work):
        (
            self.capturing
            if self.capturing is not None
            else self.streams[stream]
        ).append(work)

    def cudaMemcpyAsync(self, target, source, size, kind, stream):
        self.enqueue(stream, lambda: self._copy(target, source, size, kind))

    def _copy(self, target, source, size, kind):
        sides = (
            ("device", "host")
            if kind == cudaMemcpyKind.cudaMemcpyHostToDevice
            else ("host", "device")
        )
        into, out_of = (
            self.memory[side][address]
            for side, address in zip(sides, (target, source), strict=True)
        )
        if size > min(into.size, out_of.size):
            self.problems.append(
                f"copied {size} bytes past a buffer of {min(into.size, out_of.size)}"
            )
        into[:size] = out_of[:size]

    def cudaStreamSynchronize(self, stream):
        works, self.streams[stream] = self.streams[stream], []
        for work in works:
            work()

    def cudaStreamBeginCapture(self, stream, mode):
        self.capturing = []

    def cudaStreamEndCapture(self, stream):
        number, works = self._number(), self.capturing
        self.graphs[number], self.capturing = works, None
        return number

    def cudaGraphInstantiate(self, graph, flags):
        number = self._number()
        self.graphs[number] = self.graphs[graph]
        return number

    def cudaGraphLaunch(self, graph, stream):
        self.streams[stream] += self.graphs[graph]

    def cudaGraphDestroy(self, graph):
        del self.graphs[graph]

    def cudaGraphExecDestroy(self, graph):
        del self.graphs[graph]
