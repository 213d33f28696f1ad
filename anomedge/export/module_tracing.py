"""Trace a module of other people: strictly, then without strictness, then with a fixed batch."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import onnx
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from anomedge.bundle.operators import ONNX_OPERATORS
from anomedge.errors import ExportError, InputError
from anomedge.export.graphs import FORBIDDEN, assert_shared_operators
from anomedge.export.lowering import lowered
from anomedge.export.module_probe import probed_module
from anomedge.export.options import ExportOptions
from anomedge.export.tracing import Tracer
from anomedge.images import Picture
from anomedge.interop.module import ModulePipeline
from anomedge.interop.preserved import preserved
from anomedge.interop.probing import Probe
from anomedge.pipelines.base import Pipeline
from anomedge.pipelines.model import Model
from anomedge.precisions import PRECISIONS
from anomedge.resample.outside_resize import Framing

__all__ = [
    "ModuleTracer",
    "UnsharedOperatorWarning",
    "Way",
    "check_networks",
    "traced_module",
    "tracer_of",
]

UNSHARED = FORBIDDEN | {
    "Col2Im", "Compress", "DFT", "Det", "GatherND", "NonMaxSuppression", "STFT", "Unique",
}  # fmt: skip
"""Operators that some runtime does not have, or has for some shapes only."""


class UnsharedOperatorWarning(UserWarning):
    """The graph has operators that not every runtime has."""


@dataclass(frozen=True)
class Way:
    """A way to trace a module.

    Attributes:
        strict: whether torch.export is strict.
        batch: the fixed batch size; None for any.
    """

    strict: bool
    batch: int | None

    @property
    def name(self) -> Literal["strict", "non-strict"]:
        """Name of the mode of torch.export."""
        return "strict" if self.strict else "non-strict"

    def __str__(self) -> str:
        batch = (
            "any batch" if self.batch is None else f"batch {self.batch} alone"
        )
        return f"{self.name} export, {batch}"


class ModuleTracer(Tracer):
    """Trace a module in one way, lower its resizes and `einsum`, and allow operators that not every runtime has.

    Attributes:
        way: the way.
        unshared: operators of the graph that not every runtime has.
    """

    subject = "this module"
    advice = "replace operators that torch cannot export, and decisions that depend on values"

    def __init__(self, way: Way) -> None:
        self.way = way
        self.unshared: tuple[str, ...] = ()
        self._graphs: list[tuple[Model, Any, list[str]]] = []

    def trace(self, model: Model, framing: Framing, opset: int) -> None:
        """Trace ahead: `graph` returns this graph for the same model, once."""
        graph, stages = super().graph(model, framing, self.way.batch, opset)
        self._graphs.append((model, graph, stages))
        self.unshared = tuple(sorted(_operators(graph) & UNSHARED))

    def graph(
        self, model: Model, framing: Framing, batch: int | None, opset: int
    ) -> tuple[Any, list[str]]:
        """Return the graph that was traced ahead, once, or a new one."""
        if self._graphs and self._graphs[0][0] is model:
            _, graph, names = self._graphs.pop()
            return graph, names
        with preserved(model.pipeline):
            return super().graph(model, framing, batch, opset)

    def program(
        self, deployed: nn.Module, example: Tensor, shapes: Any
    ) -> ExportedProgram:
        """Return the traced program, without resizes and `einsum`."""

        def export(module: nn.Module) -> ExportedProgram:
            return torch.export.export(
                module, (example,), dynamic_shapes=shapes, strict=False
            )

        program = torch.export.export(
            deployed, (example,), dynamic_shapes=shapes, strict=self.way.strict
        )
        return lowered(program, export)

    def check(self, proto: onnx.ModelProto) -> None:
        """Check that a bundle takes the operators; which target takes them, the proof and `anomedge lint` tell.

        Raises:
            ExportError: an operator that a bundle does not take.
        """
        assert_shared_operators(proto, forbidden=frozenset())
        foreign = sorted(_operators(proto) - ONNX_OPERATORS)
        if foreign:
            raise ExportError(
                f"got the operators {', '.join(foreign)}; expected no control flow, sequences, state or random numbers "
                f"in a bundle: {self.advice}"
            )


def tracer_of(
    model: Model,
    framing: Framing,
    options: ExportOptions,
    pictures: Sequence[Picture],
) -> tuple[Tracer, ExportOptions]:
    """Return how a detector is traced, and the options to export with; a module is probed and traced ahead.

    Args:
        model: the detector.
        framing: how pictures become the graph's input.
        options: options of the export.
        pictures: pictures of the proof.

    Raises:
        ModelError, InputError, ExportError: a module cannot be used, see `probed_module` and `traced_module`.
    """
    pipeline = model.pipeline
    if not isinstance(pipeline, ModulePipeline):
        return Tracer(), options
    batch = options.fixed_batch
    probed = probed_module(pipeline, model.geometry, pictures, batch)
    return traced_module(model, framing, options, probed)


def traced_module(
    model: Model, framing: Framing, options: ExportOptions, probed: Probe
) -> tuple[ModuleTracer, ExportOptions]:
    """Trace a module in the first way that works; return the tracer, which keeps the graph, and the options to export with.

    Args:
        model: a detector around the module.
        framing: how pictures become the graph's input.
        options: options of the export. A dynamic batch becomes batch 1 if the module takes no other, or torch traces no
            other.
        probed: result of the module's runs.

    Raises:
        InputError: float16 is asked for, and the detector states no networks.
        ExportError: no way works; it gives the reason of the first one.
    """
    check_networks(model.pipeline, options)
    refused: ExportError | None = None
    for way in _ways(options, probed):
        tracer = ModuleTracer(way)
        try:
            with preserved(model.pipeline):
                tracer.trace(model, framing, options.opset)
        except ExportError as error:
            if error.__cause__ is None:  # It is about the graph, not the trace.
                raise
            refused = refused or error
            continue
        _warn_of_operators(tracer.unshared)
        return tracer, replace(options, batch=way.batch or "dynamic")
    raise refused or ExportError("no way to trace the module was tried")


def check_networks(
    pipeline: Pipeline[Any, Any], options: ExportOptions
) -> None:
    """Refuse float16 for a detector without networks that may run in it.

    Raises:
        InputError: it states none.
    """
    halved = [p for p in options.precisions if PRECISIONS.get(p).half_networks]
    if halved and not pipeline.networks:
        raise InputError(
            f"got precision {halved[0]} for a module without networks; expected the submodules that may run in float16: "
            f"give their names as networks=, or leave out {halved[0]}"
        )


def _warn_of_operators(names: Sequence[str]) -> None:
    if names:
        warnings.warn(
            f"the graph has operators that not every runtime has: {', '.join(names)}; `anomedge lint` tells which target "
            f"refuses them",
            UnsharedOperatorWarning,
            stacklevel=3,
        )


def _operators(proto: onnx.ModelProto) -> set[str]:
    return {node.op_type for node in proto.graph.node}


def _ways(options: ExportOptions, probed: Probe) -> list[Way]:
    """Return the ways to try, best first."""
    fixed = options.fixed_batch
    batches: tuple[int | None, ...] = (None, 1) if fixed is None else (fixed,)
    if not probed.takes_batches:
        batches = (1,)
    return [Way(strict, each) for each in batches for strict in (True, False)]
