"""Errors planted into exported graphs whose bundle is whole and signed: only a proof can tell."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from anomedge.bundle import Bundle, write_manifest
from anomedge.export.graphs import cut_at_outputs, set_outputs
from anomedge.export.tracing import keep_shipped_outputs
from anomedge.export.writing import write_onnx, write_tapped
from anomedge.parity.segments import GIVEN
from anomedge.resample import bilinear, gaussian_blur

Edit = Callable[[Any], None]


def rebuilt(
    bundle: Bundle,
    root: Path,
    edit: Edit,
    *,
    shipped: Edit | None = None,
    **variant: Any,
) -> Bundle:
    """A copy of a bundle with another graph in all its files, or with `shipped` in the one that ships alone."""
    shutil.copytree(
        bundle.path,
        root,
        ignore=shutil.ignore_patterns(
            "certificates", "openvino", "manifest.json"
        ),
    )
    graph = onnx.load(bundle.file("stages.onnx"))
    edit(graph.graph)
    target = root / "model.onnx"
    taps = keep_shipped_outputs(graph)
    # Weights beside the graph stay where they are while the graph changes.
    holder = write_onnx(graph, target, limit=0 if shipped else 1 << 30)
    set_outputs(graph, taps)
    write_tapped(graph, target, holder, root / "stages.onnx")
    write_tapped(
        cut_at_outputs(graph, GIVEN), target, holder, root / "segments.onnx"
    )
    if shipped:
        model = onnx.load(target, load_external_data=False)
        shipped(model.graph)
        target.write_bytes(model.SerializeToString())
    return signed(bundle, root, **variant)


def signed(bundle: Bundle, root: Path, **variant: Any) -> Bundle:
    """The bundle in `root`, whose manifest lists the files that are there."""
    fields = bundle.manifest.model_dump(exclude={"files", "digest"})
    changed = fields["variants"]["fp32"] | {"openvino": None} | variant
    (root / "manifest.json").unlink(missing_ok=True)
    write_manifest(root, fields | {"variants": {"fp32": changed}})
    return Bundle.open(root)


def altered(
    fragment: str,
    change: Callable[[np.ndarray], np.ndarray],
    share: float = 1.0,
) -> Edit:
    """Take a share of the way from a tensor to a changed one."""

    def edit(graph: Any) -> None:
        tensor = next(t for t in graph.initializer if fragment in t.name)
        values = numpy_helper.to_array(tensor).astype(np.float64)
        mixed = values + share * (change(values) - values)
        tensor.CopyFrom(
            numpy_helper.from_array(mixed.astype(np.float32), tensor.name)
        )

    return edit


def scaled_score(share: float = 1.0) -> Edit:
    """A product with 1.01 between the score and whoever reads it."""

    def edit(graph: Any) -> None:
        maker = next(node for node in graph.node if "score" in node.output)
        maker.output[:] = [
            "score.right" if name == "score" else name for name in maker.output
        ]
        graph.initializer.append(
            numpy_helper.from_array(
                np.float32(1 + 0.01 * share), "score.factor"
            )
        )
        graph.node.append(
            helper.make_node(
                "Mul",
                ["score.right", "score.factor"],
                ["score"],
                name="score.scaled",
            )
        )

    return edit


def both(*edits: Edit) -> Edit:
    """One after the other."""

    def edit(graph: Any) -> None:
        for each in edits:
            each(graph)

    return edit


def by_half_a_pixel(weights: np.ndarray) -> np.ndarray:
    """Every tap between where it was and the next pixel."""
    return (weights + np.roll(weights, 1, axis=-1)) / 2


def nearest_pixel(weights: np.ndarray) -> np.ndarray:
    """The heaviest tap alone, as heavy as all of them."""
    chosen = np.arange(weights.shape[-1]) == weights.argmax(axis=-1)[..., None]
    return np.where(chosen, weights.sum(axis=-1, keepdims=True), 0.0)


def blurred_more(share: float = 1.0) -> Edit:
    """The map's matrices for sigma 5 in place of 4."""
    return both(
        altered("to_map.rows", lambda rows: _blur(*rows.T.shape), share),
        altered(
            "to_map.columns", lambda columns: _blur(*columns.shape).T, share
        ),
    )


def _blur(n_in: int, n_out: int, sigma: float = 5.0) -> np.ndarray:
    return gaussian_blur(n_out, 2 * int(4 * sigma + 0.5) + 1, sigma) @ bilinear(
        n_in, n_out
    )
