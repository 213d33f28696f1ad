"""How large a bundle becomes: mostly its constants, which follow from the graph, and a little for everything else."""

from __future__ import annotations

from anomedge.budget.network import Network

__all__ = ["file_sizes"]

# Bytes that a node takes in each of the formats: names, attributes, shapes; means of exported graphs.
_NODE, _TAPPED_NODE, _IR_NODE = 160, 220, 1250
_TEXTS = 25_000  # manifest and certificate
_GOLDEN, _GOLDEN_PICTURES, _GOLDEN_STAGES = 14, 10, 3
_PNG = 0.5
"""A picture's bytes as PNG, as a share of its pixels; from a third to two thirds, as smooth or grainy as it is."""


def file_sizes(
    network: Network, frame: tuple[int, int], batch: int
) -> dict[str, int]:
    """Bytes of a bundle's files, in float32.

    Args:
        network: of the bundle's graph.
        frame: height and width of the camera's frames.
        batch: the frames that the network is for.
    """
    nodes = sum(operation.kind != "view" for operation in network.operations)
    return {
        "model.onnx": network.stored_bytes + _NODE * nodes,
        "stages.onnx": _TAPPED_NODE * nodes,
        "segments.onnx": _TAPPED_NODE * nodes,
        "openvino/": network.stored_bytes + _IR_NODE * nodes,
        "golden/": _golden(network, frame, batch),
        "manifest, certificate": _TEXTS,
    }


def _golden(network: Network, frame: tuple[int, int], batch: int) -> int:
    """Frames, a map each, and of some every stage; of the image two versions."""
    sizes = {
        operation.name: operation.bytes // batch
        for operation in network.operations
    }
    stages = [sizes.get(result, 0) for result in network.stages.values()]
    maps = sizes.get(network.stages.get("anomaly_map", ""), 0)
    pictures = _GOLDEN_PICTURES * _PNG * frame[0] * frame[1] * 3
    return (
        round(pictures)
        + _GOLDEN * maps
        + _GOLDEN_STAGES * (sum(stages) + stages[0])
    )
