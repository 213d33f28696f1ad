"""What both packages of TensorRT share: an engine built from the bundle's ONNX on the device, kept, and run on a GPU."""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy.typing as npt

from anomedge.errors import DeviceMismatch
from anomedge.runtimes.base import (
    Built,
    Options,
    Session,
    Tensors,
    TensorSpec,
    is_there,
    translated,
)
from anomedge.runtimes.graph_file import GraphFile
from anomedge.runtimes.nvidia import gpus
from anomedge.runtimes.nvidia.cuda import Cuda
from anomedge.runtimes.nvidia.cuda import installed as cuda_is_installed
from anomedge.runtimes.nvidia.gpus import Gpu
from anomedge.runtimes.tensorrt.engine import Made, Maker
from anomedge.runtimes.tensorrt.execution import Execution, UnreadableEngine
from anomedge.runtimes.tensorrt.log import listen, load

__all__ = ["TensorRTSession"]

_DEVICE = re.compile(r"(?:cpu|gpu|cuda)(?::(\d+))?", re.IGNORECASE)


class TensorRTSession(Session):
    """A graph under TensorRT. There is nothing but GPUs to run on, so `device` "cpu", everybody's default, is the first."""

    targets: ClassVar[tuple[str, ...]] = ()
    """Compute capabilities that an engine is built for; empty where it is built for the GPU that is there."""

    @classmethod
    def runs_here(cls) -> bool:
        """True with the vendor's package, `cuda-python` and a GPU that it supports."""
        there = is_there(cls.vendor) and cuda_is_installed()
        return there and any(cls.supports(gpu) for gpu in gpus.find().gpus)

    @classmethod
    def supports(cls, gpu: Gpu) -> bool:
        """True for a GPU that the vendor's package runs on."""
        del gpu
        return True

    @classmethod
    def build(
        cls, graph: GraphFile | Path, options: Options, *, force: bool = False
    ) -> Built:
        """Build an engine for exactly these options, or find it built; `force` builds it again. Errors as in opening."""
        source = GraphFile.of(graph)
        with translated(cls.name, "build", source.path):
            ahead = bool(cls.targets) and not any(
                cls.supports(gpu) for gpu in gpus.find().gpus
            )
            gpu = None if ahead else cls._chosen(options.device)
            made = cls._maker(source, options, gpu).engine(
                exact=True, force=force
            )
        listen(load(cls.vendor, cls.extra))[1].tell()
        return Built(
            made.engine.path,
            len(made.engine.plan),
            made.fresh,
            made.engine.record,
        )

    @classmethod
    def _maker(
        cls, graph: GraphFile, options: Options, gpu: Gpu | None
    ) -> Maker:
        own = gpu is not None and bool(cls.targets) and cls._needs_its_own(gpu)
        targets = (gpu.compute,) if gpu is not None and own else cls.targets
        return Maker(
            load(cls.vendor, cls.extra),
            cls.short,
            graph.load(),
            options,
            gpu,
            targets,
            own,
        )

    @classmethod
    def _needs_its_own(cls, gpu: Gpu) -> bool:
        """True for a GPU that an engine for `targets` does not run on."""
        del gpu
        return False

    @classmethod
    def _chosen(cls, device: str) -> Gpu:
        match = _DEVICE.fullmatch(device)
        if match is None:
            raise DeviceMismatch(
                f"{cls.name}: got device {device!r}; expected gpu, cuda or cuda:N: it runs on GPUs only"
            )
        found = gpus.find()
        if not found.gpus:
            raise DeviceMismatch(
                f"{cls.name} runs on NVIDIA GPUs only and found none ({found.reason}); {cls._advice()}"
            )
        index = int(match[1] or 0)
        if index >= len(found.gpus):
            known = ", ".join(str(gpu) for gpu in found.gpus)
            raise DeviceMismatch(
                f"{cls.name}: got device {device!r}; this machine has: {known}"
            )
        gpu = found.gpus[index]
        if not cls.supports(gpu):
            raise DeviceMismatch(
                f"{cls.name} does not run on {gpu}, compute capability {gpu.compute}; {cls._advice()}"
            )
        return gpu

    @classmethod
    def _advice(cls) -> str:
        return "install NVIDIA's driver, or use another runtime: --runtime ort"

    @property
    def version(self) -> str:
        """The vendor's own version."""
        return str(self._trt.__version__)

    def _open(self) -> None:
        gpu = self._chosen(self.options.device)
        self._trt = load(self.vendor, self.extra)
        cuda = Cuda.load()
        cuda.use(gpu.index)
        self._assert_running_on(cuda.current(), str(gpu))
        maker = self._maker(self.graph, self.options, gpu)
        made = maker.engine()
        try:
            self._execution = self._started(cuda, gpu, made)
        except UnreadableEngine as error:
            if made.fresh:
                raise
            warnings.warn(
                f"{made.engine.path.name}: {error}; it is built again",
                stacklevel=2,
            )
            self._execution = self._started(cuda, gpu, maker.engine(force=True))
        self._turn = threading.Lock()
        listen(self._trt)[1].tell()

    def _started(self, cuda: Cuda, gpu: Gpu, made: Made) -> Execution:
        options = self.options
        return Execution(
            self._trt,
            cuda,
            gpu.index,
            made.engine.plan,
            record=options.cuda_graph,
            host_code=options.version_compatible,
            dla=options.dla,
        )

    def _specs(self) -> tuple[dict[str, TensorSpec], dict[str, TensorSpec]]:
        ports = self._execution.ports
        inputs = {port.name: port.spec for port in ports if port.is_input}
        self.largest = min(
            (
                port.largest[0]
                for port in ports
                if port.is_input and port.largest
            ),
            default=None,
        )
        return inputs, {
            port.name: port.spec for port in ports if not port.is_input
        }

    def _run(self, feed: Mapping[str, npt.NDArray[Any]]) -> Tensors:
        with self._turn:
            outputs = self._execution.run(feed)
        listen(self._trt)[1].tell()
        return outputs

    def _close(self) -> None:
        with self._turn:
            self._execution.close()
