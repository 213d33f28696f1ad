"""Estimated file sizes of a bundle: the constants of its graph, and overhead."""

from __future__ import annotations

from anomedge.budget.network import Network

__all__ = ["file_sizes"]

# Mean bytes of a node (names, attributes, shapes) in each format.
_NODE, _TAPPED_NODE, _IR_NODE = 160, 220, 1250
_TEXTS = 25_000  # manifest and certificate
_GOLDEN, _GOLDEN_PICTURES, _GOLDEN_STAGES = 14, 10, 3
_PNG = 0.5
"""Compression ratio of a PNG; one third to two thirds, depending on noise."""


def file_sizes(
    network: Network, frame: tuple[int, int], batch: int
) -> dict[str, int]:
    """Estimate the bytes of each file of a float32 bundle.

    Args:
        network: the graph of the bundle.
        frame: (height, width) of the camera frames.
        batch: batch size of the network.
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
    """Estimate golden frames with maps, some of them with all stages."""
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
