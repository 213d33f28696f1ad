"""The engine of a graph on a device: the one kept from before, or a new one."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

from anomedge.files import sha256_of_bytes
from anomedge.runtimes.base import Options
from anomedge.runtimes.graph_file import Loaded
from anomedge.runtimes.nvidia.cuda import Cuda
from anomedge.runtimes.nvidia.gpus import Gpu
from anomedge.runtimes.tensorrt.builder import Order, Product, build
from anomedge.runtimes.tensorrt.cache import Engine, Store, store_of

__all__ = ["Made", "Maker"]

_RULES = 1
"""Of `_building`; a change of what it tells the builder is another number, so that no older engine is taken for its own."""


@dataclass(frozen=True)
class Made:
    """An engine, and whether it was built just now."""

    engine: Engine
    fresh: bool


@dataclass(frozen=True)
class Maker:
    """Finds or builds the engine of one graph.

    Args:
        trt: the vendor's module.
        runtime: short name.
        graph: the ONNX graph in memory; the engine is built from these bytes and stored under their digests.
        options: how it is to be built.
        gpu: what it is to run on; None where the release builds without one.
        targets: compute capabilities of a portable engine, which then holds for every such GPU.
        own: a portable engine for the GPU's own capability alone.
    """

    trt: Any
    runtime: str
    graph: Loaded
    options: Options
    gpu: Gpu | None
    targets: tuple[str, ...] = ()
    own: bool = False

    def engine(self, *, exact: bool = False, force: bool = False) -> Made:
        """The kept engine of these very facts, or one built now and kept.

        Raises:
            InputError, VendorError, OutputError: it cannot be built, or not be kept.
        """
        store, facts = (
            store_of(self.graph.path, self.runtime, self.options.cache),
            self.facts(),
        )
        kept = (
            None
            if force
            else store.find(facts, self.options.batches, exact=exact)
        )
        return (
            Made(kept, fresh=False)
            if kept is not None
            else Made(self._built(store, facts), fresh=True)
        )

    def _built(self, store: Store, facts: dict[str, Any]) -> Engine:
        # How fast kernels are is this release's and this GPU's own, whatever else the engine may run on.
        device = (
            self._exact_device(self.gpu)
            if self.gpu is not None
            else facts["device"]
        )
        known = {"version": str(self.trt.__version__), "device": device}
        with store.place() as folder:
            start = time.perf_counter()
            product = self._product(store.timing(known))
            seconds = round(time.perf_counter() - start, 3)
            if product.timing:
                store.keep_timing(folder, known, product.timing)
            owner = sha256_of_bytes(os.fsencode(self.graph.path.absolute()))
            return store.keep(
                folder,
                facts,
                self.options.batches,
                product.plan,
                seconds=seconds,
                owner=owner,
            )

    def _product(self, timing: bytes) -> Product:
        gpu = self.gpu
        order = Order(
            graph=self.graph,
            options=self.options,
            portable=bool(self.targets),
            targets=self.targets if self.own else (),
            timing=timing,
            prepare=(lambda: None)
            if gpu is None or self.targets
            else (lambda: Cuda.load().use(gpu.index)),
        )
        return build(self.trt, order)

    def facts(self) -> dict[str, Any]:
        """All that an engine depends on but its batches."""
        options = (
            "tf32",
            "workspace",
            "version_compatible",
            "hardware_compatible",
            "dla",
        )
        return {
            "rules": _RULES,
            "version": "any"
            if self.options.version_compatible
            else str(self.trt.__version__),
            "device": self._device(),
            "graph": self.graph.digests,
            "options": {name: getattr(self.options, name) for name in options},
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
