"""Find or build the engine of a graph on a device."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

from anomedge.files import sha256_of_bytes
from anomedge.runtimes.graph_file import GraphContent
from anomedge.runtimes.nvidia.cuda import Cuda
from anomedge.runtimes.nvidia.gpus import Gpu
from anomedge.runtimes.tensorrt.builder import (
    BuildOutput,
    BuildRequest,
    build,
)
from anomedge.runtimes.tensorrt.cache import (
    CachedEngine,
    EngineCache,
    engine_cache,
)
from anomedge.runtimes.tensorrt.options import EngineOptions

__all__ = ["BuiltEngine", "EngineBuilder"]

_RULES_VERSION = 1
"""Version of the builder's configuration; raised when it changes, so that no older engine is used."""

_FINGERPRINT_OPTIONS = (
    "tf32",
    "workspace",
    "version_compatible",
    "hardware_compatible",
)


@dataclass(frozen=True)
class BuiltEngine:
    """An engine, and whether it was built just now."""

    engine: CachedEngine
    fresh: bool


@dataclass(frozen=True)
class EngineBuilder:
    """Find or build the engine of one graph.

    Args:
        trt: the vendor's module.
        runtime: short name of the runtime.
        graph: the ONNX graph in memory; the engine is built from these bytes and
            stored under their digests.
        options: the user's options.
        gpu: the GPU that runs the engine; None if the release builds without one.
        targets: compute capabilities of a portable engine, which then serves every
            such GPU.
        own_target: build a portable engine for the GPU's own capability only.
    """

    trt: Any
    runtime: str
    graph: GraphContent
    options: EngineOptions
    gpu: Gpu | None
    targets: tuple[str, ...] = ()
    own_target: bool = False

    def find_or_build(
        self, *, exact: bool = False, force: bool = False
    ) -> BuiltEngine:
        """Return the engine from the cache, or build and store it.

        Args:
            exact: do not accept an engine of a wider range of batches.
            force: build without looking into the cache.

        Raises:
            InputError, VendorError, OutputError: it cannot be built or stored.
        """
        cache = engine_cache(self.graph.path, self.runtime, self.options.cache)
        facts = self.facts()
        if not force:
            found = cache.find(facts, self.options.batches, exact=exact)
            if found is not None:
                return BuiltEngine(found, fresh=False)
        return BuiltEngine(self._build(cache, facts), fresh=True)

    def _build(self, cache: EngineCache, facts: dict[str, Any]) -> CachedEngine:
        timing_facts = self._timing_facts(facts)
        with cache.writable_folder() as folder:
            start = time.perf_counter()
            output = self._output(cache.load_timing(timing_facts))
            seconds = round(time.perf_counter() - start, 3)
            if output.timing:
                cache.save_timing(folder, timing_facts, output.timing)
            owner = sha256_of_bytes(os.fsencode(self.graph.path.absolute()))
            return cache.save(
                folder,
                facts,
                self.options.batches,
                output.plan,
                seconds=seconds,
                owner=owner,
            )

    def _timing_facts(self, facts: dict[str, Any]) -> dict[str, Any]:
        """Return the facts that kernel timings depend on: release and GPU."""
        device = facts["device"]
        if self.gpu is not None:
            device = self._exact_device(self.gpu)
        return {"version": str(self.trt.__version__), "device": device}

    def _output(self, timing: bytes) -> BuildOutput:
        request = BuildRequest(
            graph=self.graph,
            options=self.options,
            portable=bool(self.targets),
            targets=self.targets if self.own_target else (),
            timing=timing,
            select_gpu=self._select_gpu,
        )
        return build(self.trt, request)

    def _select_gpu(self) -> None:
        if self.gpu is not None and not self.targets:
            Cuda.load().use(self.gpu.index)

    def facts(self) -> dict[str, Any]:
        """Return all facts that an engine depends on, except its batches."""
        options: dict[str, Any] = {
            name: getattr(self.options, name) for name in _FINGERPRINT_OPTIONS
        }
        options["dla"] = self.options.dla_core()
        version = str(self.trt.__version__)
        return {
            "rules": _RULES_VERSION,
            "version": "any" if self.options.version_compatible else version,
            "device": self._device(),
            "graph": self.graph.digests,
            "options": options,
        }

    def _device(self) -> dict[str, str]:
        if self.targets:
            return {"compute_capabilities": ", ".join(self.targets)}
        if self.gpu is None:
            raise ValueError("an engine for one GPU needs that GPU")
        if self.options.hardware_compatible:
            return {
                "gpu": "any from compute capability 8.0 on",
                "driver": self.gpu.driver,
            }
        return self._exact_device(self.gpu)

    @staticmethod
    def _exact_device(gpu: Gpu) -> dict[str, str]:
        return {
            "gpu": gpu.name,
            "compute_capability": gpu.compute,
            "multiprocessors": str(gpu.processors),
            "driver": gpu.driver,
        }
