"""Networks of a detector as graphs of torch.fx, with batch normalisation folded, for edits of their precision."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from anomedge.pipelines.base import Pipeline
from anomedge.pipelines.folding import Node, fold_batch_norms
from anomedge.pipelines.networks import map_tensors, network_inputs
from anomedge.pipelines.tiles import Tiles
from anomedge.pipelines.trace_errors import traced
from anomedge.resample import Geometry

__all__ = ["Networks", "folded_networks", "layer_of"]

Networks = dict[str, fx.GraphModule]


def folded_networks(
    pipeline: Pipeline[Any, Any], geometry: Geometry, batch: int | None
) -> Networks:
    """Return a detector's networks by name as float32 graphs, batch normalisation folded, unused parts removed.

    Args:
        pipeline: the detector; it is not modified, and tensors without folded values are shared.
        geometry: how pictures become its images.
        batch: the batch size of the graphs, or None for any.

    Raises:
        ExportError: torch cannot trace a network.
        ModelError: a network that the detector does not use.
    """
    tiles = Tiles.of(geometry)
    count = (batch or 2) * (1 if tiles is None else tiles.count)
    inputs = network_inputs(pipeline, count, geometry.detector_input)
    networks = {}
    for name in pipeline.networks:
        network = pipeline.get_submodule(name)
        dynamic = None if batch else _dynamic_batch(inputs[name])
        subject = (
            "the backbone" if name == "extractor" else f"the network {name}"
        )
        with traced(network, subject):
            program = torch.export.export(
                network, inputs[name], dynamic_shapes=dynamic, strict=False
            )
            graph = program.run_decompositions({}).module()
        networks[name] = fold_batch_norms(graph)
    return networks


def layer_of(node: Node) -> str:
    """Return the path of the module that a node belongs to; without one, the node's own name."""
    stack = list(node.meta.get("nn_module_stack", {}).values())
    return str(stack[-1][0]) if stack and stack[-1][0] else node.name


def _dynamic_batch(inputs: tuple[Any, ...]) -> Any:
    """Return the dynamic shapes of a network's inputs: the first dimension of each is the batch."""
    batch = torch.export.Dim("batch", min=1, max=4096)
    return map_tensors(lambda _: {0: batch}, inputs)  # type: ignore[arg-type, return-value]
