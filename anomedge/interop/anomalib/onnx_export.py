"""ONNX graphs that `anomalib export --export_type onnx` wrote: PaDiM and PatchCore of 2.3 to 2.7.

Exporters keep the statistics and fold BatchNorm into the convolutions. The
hyper-parameters are not stored; they follow from the graph: layers from the
convolutions that features are taken after, neighbours from TopK.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from anomedge.errors import ModelError
from anomedge.interop.anomalib.folded import inferred_network
from anomedge.interop.anomalib.foreign import (
    ForeignModel,
    StoredThresholds,
    TensorSource,
)
from anomedge.interop.anomalib.onnx_graph import (
    GraphTensor,
    OnnxGraph,
    read_onnx,
)
from anomedge.interop.anomalib.onnx_preprocessing import (
    preprocessing_of_graph,
)
from anomedge.interop.anomalib.plain import number_of

__all__ = ["VERSIONS", "onnx_export"]

VERSIONS = "2.3 to 2.7"
"""Versions that write such graphs."""

_PREFIX = "model."
_NETWORK = "feature_extractor.feature_extractor."
_OUTPUTS = {"pred_score", "anomaly_map"}
_FARTHEST = 64
_MOST_LAYERS = 16


@contextmanager
def onnx_export(path: Path) -> Iterator[ForeignModel]:
    """Open an exported graph; its tensors can be loaded until the block ends.

    Raises:
        ModelError: not a graph of anomalib 2's PaDiM or PatchCore, or one
            without a readable preprocessing.
    """
    with read_onnx(path) as graph:
        yield _checked(path, graph)


def _checked(path: Path, graph: OnnxGraph) -> ForeignModel:
    try:
        return _content(path, graph)
    except (IndexError, ValueError, OverflowError) as error:
        raise ModelError(
            "got a graph with nodes that lack inputs, or sizes that are no numbers; expected a whole ONNX file of anomalib: import the checkpoint"
        ) from error


def _content(path: Path, graph: OnnxGraph) -> ForeignModel:
    outputs = {output.name for output in graph.graph.output}
    if not outputs >= _OUTPUTS:
        raise ModelError(
            f"got a graph with the outputs {', '.join(sorted(outputs))[:200]}; expected pred_score and anomaly_map, "
            f"those of anomalib {VERSIONS}: import the checkpoint"
        )
    network = _network_tensors(graph)
    tensors = network | _statistics(graph)
    sources = _features(graph)
    backbone, layers = inferred_network(network, sources)
    arguments: dict[str, Any] = {"backbone": backbone, "layers": layers}
    if "memory_bank" in tensors:
        arguments["num_neighbors"] = _neighbors(graph)
    return ForeignModel(
        path=path,
        digest=graph.digest,
        beside=graph.beside,
        kind="onnx",
        version=VERSIONS,
        tensors=tensors,
        arguments=arguments,
        preprocessing=preprocessing_of_graph(graph),
        thresholds=_thresholds(graph),
    )


def _network_tensors(graph: OnnxGraph) -> dict[str, TensorSource]:
    """Return weights and biases of the backbone's convolutions, by their names in the torch model."""
    found: dict[str, TensorSource] = {}
    for node in graph.named("Conv"):
        path = _module_of(node)
        if path is None:
            continue
        for leaf, name in zip(("weight", "bias"), node.input[1:], strict=False):
            constant = graph.constant(name)
            if constant is not None:
                found[f"{path}.{leaf}"] = constant
    if not found:
        raise ModelError(
            "got a graph without convolutions of a backbone; expected those of PaDiM or PatchCore: "
            "import the checkpoint"
        )
    return found


def _module_of(node: Any) -> str | None:
    """Return the path of a convolution in the backbone, from the name of its weight or of the node.

    A node is named by the scopes around it, /model/.../layer1/layer1.0/conv1/Conv.
    """
    if len(node.input) < 2:
        return None
    weight = str(node.input[1]).removeprefix(_PREFIX)
    if weight.startswith(_NETWORK) and weight.endswith(".weight"):
        return weight.removesuffix(".weight")
    scopes = node.name.strip("/").split("/")[1:-1]
    parts: list[str] = []
    for scope in scopes:
        if parts and scope.startswith(f"{parts[-1]}."):
            parts.pop()
        parts.append(scope)
    path = ".".join(parts)
    return path if path.startswith(_NETWORK) else None


def _statistics(graph: OnnxGraph) -> dict[str, TensorSource]:
    """Return the fitted tensors; those without a name are known by their shapes."""
    bank = graph.constants.get(f"{_PREFIX}memory_bank")
    if bank is not None:
        return {"memory_bank": bank}
    inverse = _only(graph, "gaussian.inv_covariance", _is_inverse)
    patches, features = inverse.shape[:2]
    mean = _only(
        graph, "gaussian.mean", lambda x: x.shape == (features, patches)
    )
    index = _only(
        graph,
        "idx",
        lambda x: x.shape == (features,) and not x.dtype.is_floating_point,
    )
    return {
        "idx": index,
        "gaussian.mean": mean,
        "gaussian.inv_covariance": inverse,
    }


def _is_inverse(tensor: GraphTensor) -> bool:
    shape = tensor.shape
    return len(shape) == 3 and shape[1] == shape[2] and min(shape) > 1


def _only(graph: OnnxGraph, name: str, fits: Any) -> GraphTensor:
    """Return the constant of a name, else the only one that fits.

    Raises:
        ModelError: none, or several.
    """
    named = graph.constants.get(f"{_PREFIX}{name}")
    if named is not None:
        return named
    found = [x for x in graph.constants.values() if fits(x)]
    if len(found) != 1:
        raise ModelError(
            f"got {len(found)} constants that could be {name}; expected one, as in PaDiM, or memory_bank, as in "
            f"PatchCore: import the checkpoint"
        )
    return found[0]


def _features(graph: OnnxGraph) -> list[str]:
    """Return, for each layer in order, the last convolution before its features."""
    pools = list(graph.named("AveragePool"))
    if f"{_PREFIX}memory_bank" in graph.constants:
        leaves = [node.input[0] for node in pools]
    else:
        leaves = list(_concatenated(graph))
    if len(leaves) > _MOST_LAYERS:
        raise ModelError(
            f"got a graph with the features of {len(leaves)} layers; expected at most {_MOST_LAYERS}: import the checkpoint"
        )
    position = {
        name: place
        for place, node in enumerate(graph.graph.node)
        for name in node.output
    }
    return [_last_convolution(graph, leaf, position) for leaf in leaves]


def _concatenated(graph: OnnxGraph) -> Iterator[str]:
    """Yield the features that PaDiM concatenates before it draws channels of them, in order."""
    gathers = [
        node
        for node in graph.named("Gather")
        if (index := graph.constant(node.input[1])) is not None
        and len(index.shape) == 1
        and index.shape[0] > 1
    ]
    if len(gathers) != 1:
        raise ModelError(
            f"got {len(gathers)} selections of channels; expected one, as in PaDiM: import the checkpoint"
        )
    pending = [gathers[0].input[0]]
    for _ in range(_FARTHEST):
        if not pending:
            return
        name = pending.pop()
        node = graph.producers.get(name)
        if node is not None and node.op_type == "Concat":
            pending += reversed(node.input)
        elif node is not None and node.op_type in {"Resize", "Identity"}:
            pending.append(node.input[0])
        else:
            yield name


def _last_convolution(
    graph: OnnxGraph, value: str, position: dict[str, int]
) -> str:
    """Return the path of the last convolution of the backbone before a value."""
    pending, seen = [value], {value}
    last, path = -1, ""
    while pending:
        name = pending.pop()
        node = graph.producers.get(name)
        if node is None:
            continue
        module = _module_of(node) if node.op_type == "Conv" else None
        if module is not None and position[name] > last:
            last, path = position[name], module
        new = [each for each in node.input if each not in seen]
        seen.update(new)
        pending += new
    if not path:
        raise ModelError(
            "got features that follow from no convolution; expected those of a backbone: import the checkpoint"
        )
    return path


def _neighbors(graph: OnnxGraph) -> int | None:
    """Return the neighbours of PatchCore's re-weighting; None if the graph does not state them."""
    nodes = list(graph.named("TopK"))
    if not nodes:
        return 1
    count = graph.scalar(nodes[0].input[1]) if len(nodes) == 1 else None
    return int(count) if count is not None and math.isfinite(count) else None


def _thresholds(graph: OnnxGraph) -> StoredThresholds:
    found: dict[str, Any] = {}
    for level, output in (("image", "pred_score"), ("pixel", "anomaly_map")):
        threshold, reach = _normalisation(graph, output)
        found[f"{level}_threshold"] = number_of(threshold)
        found[f"{level}_range"] = number_of(reach)
    return StoredThresholds(**found)


def _normalisation(
    graph: OnnxGraph, output: str
) -> tuple[float | None, float | None]:
    """Return threshold and max - min of (x - threshold) / (max - min) + 1/2, the nearest one before an output."""
    pending = [output]
    for _ in range(_FARTHEST):
        if not pending:
            break
        node = graph.producers.get(pending.pop(0))
        if node is None:
            continue
        before = graph.producers.get(node.input[0]) if node.input else None
        if node.op_type == "Div" and before is not None:
            reach = graph.scalar(node.input[1])
            if before.op_type == "Sub" and reach is not None:
                return graph.scalar(before.input[1]), reach
        pending += node.input
    return None, None
