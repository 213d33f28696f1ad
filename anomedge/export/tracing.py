"""Trace a model to one ONNX graph from frames to all stages, and check the graph."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from anomedge.errors import ExportError, ModelError
from anomedge.export.frame_input import Frontend, OutsideFrontend
from anomedge.export.graphs import (
    assert_opset,
    assert_shared_operators,
    set_outputs,
)
from anomedge.export.passes import Target, apply_passes
from anomedge.export.simplify import simplify
from anomedge.export.translations import TRANSLATIONS
from anomedge.interop.preserved import preserved
from anomedge.layouts import Frames
from anomedge.pipelines.model import Model
from anomedge.pipelines.tiles import Tiles, detect
from anomedge.pipelines.trace_errors import traced
from anomedge.resample.outside_resize import Framing, OutsideResize

__all__ = [
    "OUTPUTS",
    "Deployed",
    "Tracer",
    "graph_from_model",
    "keep_shipped_outputs",
]

_WRITTEN_OPSET = 18
OUTPUTS = tuple(Frames.outputs)
"""Names of the shipped graph's outputs, in order; a detector without a map gives those that it has."""


class Deployed(nn.Module):
    """Frame input and pipeline in one module: frames, (B, Hf, Wf, 3), to all stages in order.

    Frames are uint8, or float32 with an outside resize.
    """

    def __init__(self, model: Model, framing: Framing) -> None:
        super().__init__()
        self.frontend: nn.Module = (
            OutsideFrontend()
            if isinstance(framing, OutsideResize)
            else Frontend(model.geometry, framing)
        )
        self.pipeline = model.pipeline
        self.tiles = Tiles.of(model.geometry)

    def stages(self, frames: Tensor) -> dict[str, Tensor]:
        """Return `preprocessed`, then the stages of the pipeline."""
        images = self.frontend(frames)
        return {"preprocessed": images} | detect(
            self.pipeline, self.tiles, images
        )

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Return the values of the stages."""
        return tuple(self.stages(frames).values())


class Tracer:
    """How detectors of this package are traced and their graphs checked; a subclass does so for other modules.

    Attributes:
        subject: noun of error messages.
        advice: last clause of error messages.
    """

    subject = "this detector"
    advice = "use another backbone or layer"

    def graph(
        self, model: Model, framing: Framing, batch: int | None, opset: int
    ) -> tuple[Any, list[str]]:
        """Return the graph and its stages, see `graph_from_model`."""
        return graph_from_model(model, framing, batch, opset, self)

    def program(
        self, deployed: nn.Module, example: Tensor, shapes: Any
    ) -> torch.export.ExportedProgram:
        """Return the traced program; shapes are those of `torch.export.export`."""
        # Components are held to strict export by their tests; tracing without it writes the same graph sooner.
        return torch.export.export(
            deployed, (example,), dynamic_shapes=shapes, strict=False
        )

    def check(self, proto: Any) -> None:
        """Check the operators of a graph.

        Raises:
            ExportError: runtimes do not share one of them.
        """
        assert_shared_operators(proto)


def graph_from_model(
    model: Model,
    framing: Framing,
    batch: int | None,
    opset: int,
    tracer: Tracer | None = None,
) -> tuple[Any, list[str]]:
    """Return the ONNX graph with every stage as an output, and the names of the stages in order.

    Args:
        model: the fitted detector.
        framing: height and width of the camera's frames, or their resize outside the graph.
        batch: a fixed batch size, or None for any.
        opset: 17 or later.
        tracer: how to trace it.

    Raises:
        ModelError: the stages are not those of the model's decision.
        ExportError: the graph was specialised to a batch, has an operator that runtimes do not share, or another opset.
    """
    tracer = tracer or Tracer()
    deployed = Deployed(model, framing).eval()
    example = _example(framing, batch or 2)
    frame = (int(example.shape[1]), int(example.shape[2]))
    names = _names(deployed, example, tracer)
    _check_outputs(names, model)
    proto = _exported(
        tracer,
        deployed,
        example,
        names,
        dynamic=batch is None,
        opset=max(opset, _WRITTEN_OPSET),
    )
    tracer.check(proto)
    apply_passes(proto, Target(opset, batch, frame))
    tracer.check(proto)
    assert_opset(proto, opset)
    return proto, names


def keep_shipped_outputs(proto: Any) -> list[Any]:
    """Remove all outputs but score and map, if there is one, in place; return the former outputs."""
    by_name = {value.name: value for value in proto.graph.output}
    return set_outputs(
        proto, [by_name[name] for name in OUTPUTS if name in by_name]
    )


def _example(framing: Framing, batch: int) -> Tensor:
    if isinstance(framing, OutsideResize):
        return torch.zeros(batch, *framing.frame, 3, dtype=torch.float32)
    return torch.zeros(batch, *framing, 3, dtype=torch.uint8)


def _names(deployed: Deployed, example: Tensor, tracer: Tracer) -> list[str]:
    """Return the names of the stages without computing them: float16 is slow or unsupported on CPUs."""
    advice = f"{tracer.advice}, or another precision"
    with (
        preserved(deployed),
        traced(deployed, tracer.subject, advice=advice),
        FakeTensorMode(allow_non_fake_inputs=True),
    ):
        return list(deployed.stages(example))


def _check_outputs(names: list[str], model: Model) -> None:
    """Refuse other outputs than those that the decision has thresholds of."""
    given = [name for name in OUTPUTS if name in names]
    has_map = model.decision.has_map
    expected = [n for n in OUTPUTS if has_map or n != "anomaly_map"]
    if given != expected:
        raise ModelError(
            f"{model.pipeline.name} gives the outputs {given}; expected {expected}, of which the model has thresholds: "
            f"fit it again"
        )


def _exported(
    tracer: Tracer,
    deployed: nn.Module,
    example: Tensor,
    names: list[str],
    *,
    dynamic: bool,
    opset: int,
) -> Any:
    shapes = (
        ({0: torch.export.Dim("batch", min=1, max=4096)},) if dynamic else None
    )
    with (
        traced(deployed, tracer.subject, action="export", advice=tracer.advice),
        _quiet(),
    ):
        program = tracer.program(deployed, example, shapes)
        written = torch.onnx.export(
            program, (), dynamo=True, opset_version=opset, input_names=["frames"], output_names=names,
            custom_translation_table=TRANSLATIONS, verbose=False, optimize=False,
        )  # fmt: skip
        if written is not None:
            simplify(written.model)
    if written is None:
        raise ExportError(
            f"torch exported nothing; expected a graph: {tracer.advice}"
        )
    return written.model_proto


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the loggers of torch and onnxscript; the exported graph is checked instead."""
    names = (
        "onnxscript",
        "onnx_ir",
        "torch.onnx",
        "torch.export",
        "torch._dynamo",
    )
    before = {name: logging.getLogger(name).level for name in names}
    try:
        for name in names:
            logging.getLogger(name).setLevel(logging.ERROR)
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
