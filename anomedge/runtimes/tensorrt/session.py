"""Session for both TensorRT packages: find or build the engine on the device, and run it on a GPU."""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy.typing as npt

from anomedge.errors import DeviceMismatch
from anomedge.runtimes import options as option_classes
from anomedge.runtimes.base import BuildResult, Session
from anomedge.runtimes.choice import Preference
from anomedge.runtimes.graph_file import GraphFile
from anomedge.runtimes.nvidia import gpus
from anomedge.runtimes.nvidia.cuda import Cuda
from anomedge.runtimes.nvidia.cuda import installed as cuda_is_installed
from anomedge.runtimes.nvidia.gpus import Gpu
from anomedge.runtimes.specs import Tensors, TensorSpec
from anomedge.runtimes.tensorrt.execution import Execution, UnreadableEngine
from anomedge.runtimes.tensorrt.log import import_tensorrt, logger_of
from anomedge.runtimes.tensorrt.options import EngineOptions
from anomedge.runtimes.vendors import translated_errors

if TYPE_CHECKING:
    from anomedge.runtimes.tensorrt.engine import BuiltEngine, EngineBuilder

__all__ = ["TensorRTSession"]

_DEVICE = re.compile(r"(?:gpu|cuda)(?::(\d+))?", re.IGNORECASE)


class TensorRTSession(Session):
    """A graph under TensorRT, on a GPU.

    Attributes:
        targets: compute capabilities that engines are built for; empty if they
            are built for the GPU of this machine.
    """

    devices = ("gpu", "cuda", "cuda:1")
    default_device = "gpu"
    builds_engines = True
    Options = EngineOptions

    options: EngineOptions
    targets: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def runs_here(cls) -> bool:
        """Return whether vendor, `cuda-python` and a supported GPU are present."""
        if not (cls.is_installed() and cuda_is_installed()):
            return False
        return any(cls.supports(gpu) for gpu in gpus.find().gpus)

    @classmethod
    def why_not_here(cls) -> str:
        """Return what is missing: cuda-python, a driver, or a GPU that the package supports."""
        if not cuda_is_installed():
            return "cuda-python is not installed, for memory on the GPU: pip install cuda-python"
        found = gpus.find()
        if not found.gpus:
            return found.reason
        names = ", ".join(f"{gpu.name} {gpu.compute}" for gpu in found.gpus)
        return f"it does not support {names}"

    @classmethod
    def preference(cls, precision: str) -> Preference:
        """Return the rank of a GPU; engines for this GPU alone come before portable ones."""
        del precision
        speed = "portable engine on a GPU" if cls.targets else "engine on a GPU"
        gpu = next(gpu for gpu in gpus.find().gpus if cls.supports(gpu))
        return Preference(speed, f"an engine for {gpu.name}")

    @classmethod
    def supports(cls, gpu: Gpu) -> bool:
        """Return whether the vendor's package runs on a GPU."""
        del gpu
        return True

    @classmethod
    def check_device(cls, device: str) -> None:
        """Check that this machine has the GPU and the package supports it.

        Raises:
            DeviceMismatch: it does not.
        """
        cls._gpu_of(device)

    @classmethod
    def build(
        cls,
        graph: GraphFile | Path,
        options: option_classes.Options,
        *,
        force: bool = False,
    ) -> BuildResult:
        """Build an engine for exactly these options, or find it in the cache.

        Errors as in opening.

        Args:
            graph: an ONNX graph.
            options: options of this runtime.
            force: build even if the engine is in the cache.
        """
        source = GraphFile.of(graph)
        settings = cls._own_options(options)
        with translated_errors(cls.name, "build", source.path.name):
            gpu = cls._gpu_to_build_for(settings)
            builder = cls._engine_builder(source, settings, gpu)
            built = builder.find_or_build(exact=True, force=force)
        logger_of(builder.trt)[1].emit_warnings()
        engine = built.engine
        return BuildResult(
            engine.path, len(engine.plan), built.fresh, engine.record
        )

    @classmethod
    def _gpu_to_build_for(cls, options: EngineOptions) -> Gpu | None:
        """Return the GPU; None for a portable engine on a machine without one."""
        supported = any(cls.supports(gpu) for gpu in gpus.find().gpus)
        if cls.targets and not supported:
            return None
        return cls._gpu_of(options.device or cls.default_device)

    @classmethod
    def _own_options(cls, options: option_classes.Options) -> EngineOptions:
        if not isinstance(options, EngineOptions):
            raise TypeError(
                f"got {type(options).__name__}; expected {cls.name}'s options: "
                f"use anomedge.runtimes.options_for"
            )
        return options

    @classmethod
    def _engine_builder(
        cls, graph: GraphFile, options: EngineOptions, gpu: Gpu | None
    ) -> EngineBuilder:
        # Help texts import this module on every machine, few of which build engines.
        from anomedge.runtimes.tensorrt.engine import EngineBuilder

        targets, own_target = cls.targets, False
        if targets and gpu is not None and cls._needs_own_target(gpu):
            targets, own_target = (gpu.compute,), True
        return EngineBuilder(
            import_tensorrt(cls.vendor, cls.how_to_install()),
            cls.short,
            graph.load(),
            options,
            gpu,
            targets,
            own_target,
        )

    @classmethod
    def _needs_own_target(cls, gpu: Gpu) -> bool:
        """Return whether an engine for `targets` does not run on a GPU."""
        del gpu
        return False

    @classmethod
    def _gpu_of(cls, device: str) -> Gpu:
        match = _DEVICE.fullmatch(device)
        if match is None:
            raise DeviceMismatch(
                f"{cls.name}: got device {device!r}; expected gpu, cuda or "
                f"cuda:N: it runs on GPUs only"
            )
        found = gpus.find()
        if not found.gpus:
            raise DeviceMismatch(
                f"{cls.name} runs on NVIDIA GPUs only and found none "
                f"({found.reason}); {cls._advice()}"
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
                f"{cls.name} does not run on {gpu}, compute capability "
                f"{gpu.compute}; {cls._advice()}"
            )
        return gpu

    @classmethod
    def _advice(cls) -> str:
        return "install NVIDIA's driver, or use another runtime: --runtime ort"

    @property
    def version(self) -> str:
        """The vendor's version."""
        return str(self._trt.__version__)

    def _open(self) -> None:
        gpu = self._gpu_of(self.device)
        self._trt = import_tensorrt(self.vendor, self.how_to_install())
        cuda = Cuda.load()
        cuda.use(gpu.index)
        self._assert_running_on(cuda.current(), str(gpu))
        builder = self._engine_builder(self.graph, self.options, gpu)
        built = builder.find_or_build()
        try:
            self._execution = self._start(cuda, gpu, built)
        except UnreadableEngine as error:
            if built.fresh:
                raise
            warnings.warn(
                f"{built.engine.path.name}: {error}; it is built again",
                stacklevel=2,
            )
            rebuilt = builder.find_or_build(force=True)
            self._execution = self._start(cuda, gpu, rebuilt)
        self._lock = threading.Lock()
        logger_of(self._trt)[1].emit_warnings()

    def _start(self, cuda: Cuda, gpu: Gpu, built: BuiltEngine) -> Execution:
        plan = built.engine.plan
        return Execution(self._trt, cuda, gpu.index, plan, self.options)

    def _specs(self) -> tuple[dict[str, TensorSpec], dict[str, TensorSpec]]:
        inputs, outputs = self._execution.inputs, self._execution.outputs
        batches = [tensor.largest[0] for tensor in inputs if tensor.largest]
        self.largest = min(batches, default=None)
        return (
            {tensor.name: tensor.spec for tensor in inputs},
            {tensor.name: tensor.spec for tensor in outputs},
        )

    def _run(self, feed: Mapping[str, npt.NDArray[Any]]) -> Tensors:
        with self._lock:
            outputs = self._execution.run(feed)
        logger_of(self._trt)[1].emit_warnings()
        return outputs

    def _close(self) -> None:
        with self._lock:
            self._execution.close()
