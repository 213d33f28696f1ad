"""Export our detectors with anomalib's weights and statistics, and the graphs that define the limit."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from _against.files import (
    INT8,
    INT8_SEARCH,
    SIDE,
    floats,
    graph_of,
    precision_of,
    split,
)
from _against.timing import COLUMNS, FEATURES, shape_of_part
from _shared.models import model_without_fit
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import load_file
from torch import Tensor, nn

from anomedge.components import FeatureExtractor
from anomedge.export.graphs import set_outputs, without_unused
from anomedge.export.tracing import graph_from_model, keep_shipped_outputs
from anomedge.export.writing import write_ir, write_onnx, write_tapped
from anomedge.pipelines import Pipeline
from anomedge.pipelines.folded_networks import folded_networks
from anomedge.pipelines.padim import Padim, PadimConfig
from anomedge.pipelines.patchcore import Patchcore, PatchcoreConfig
from anomedge.pipelines.quantised.calibration import ObservedNetwork
from anomedge.pipelines.quantised.network import QuantisedNetwork
from anomedge.precisions import PRECISIONS
from anomedge.resample import Geometry

OPSET = 17


def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Export a detector; with `limit`, export its backbone alone and the graph of the rest of the limit."""
    torch.set_num_threads(asked["threads"])
    work, case = Path(asked["work"]), asked["case"]
    fitted, variant = split(case)
    folder = work / fitted
    state = load_file(folder / "state.safetensors")
    pipeline = (padim if fitted == "padim" else patchcore)(state)
    if asked.get("limit"):
        _export_backbone(
            pipeline, graph_of("backbone", work, case, 1, "onnxruntime")
        )
        _write_part(case, graph_of("part", work, case, 1, "onnxruntime"))
        return {}
    start = time.perf_counter()
    if variant == INT8:
        pipeline = with_quantised_backbone(pipeline, work)
    if variant in {INT8, INT8_SEARCH}:
        pipeline = pipeline.with_int8_search()
    _export(pipeline, folder / f"ours.{variant}", precision_of(variant))
    seconds = time.perf_counter() - start
    return {"export_seconds": seconds}


def padim(state: dict[str, Tensor]) -> Padim:
    """Return our PaDiM with anomalib's statistics, permuted from drawn to ascending channels; distances are unchanged."""
    extractor = _extractor("resnet18", ["layer1", "layer2", "layer3"], state)
    channels, order = torch.sort(state["idx"])
    inverse = state["inv_covariance"][:, order][:, :, order]
    pipeline = Padim(
        PadimConfig.of(
            extractor, (SIDE, SIDE), channels=tuple(channels.tolist())
        ),
        extractor,
    )
    # The symmetric half of a matrix has the same quadratic form; rounding has left theirs a little askew.
    pipeline.gaussian.load_state_dict(
        {
            "mean": state["mean"][order],
            "inv_covariance": (inverse.double() + inverse.double().mT)
            .div(2)
            .float(),
        }
    )
    return pipeline.eval()


def patchcore(state: dict[str, Tensor]) -> Patchcore:
    """Return our PatchCore with anomalib's memory bank; the order of columns is the same."""
    extractor = _extractor("wide_resnet50_2", ["layer2", "layer3"], state)
    bank = state["memory_bank"]
    pipeline = Patchcore(
        PatchcoreConfig.of(extractor, (SIDE, SIDE), n_vectors=len(bank)),
        extractor,
    )
    pipeline.bank.fill(bank)
    return pipeline.eval()


def with_quantised_backbone(pipeline: Pipeline, work: Path) -> Pipeline:
    """Return the detector with its backbone in INT8; the bank stays that of the float backbone, which the speed does not depend on."""
    frames = torch.from_numpy(floats(np.load(work / "frames.npy")))
    graphs = folded_networks(pipeline, Geometry((SIDE, SIDE)), None)
    observed = {name: ObservedNetwork(graph) for name, graph in graphs.items()}
    with torch.no_grad():
        pipeline.with_networks(observed)(frames)
    return pipeline.with_networks(
        {
            name: QuantisedNetwork(
                graph, observed[name].scales(), pipeline.get_submodule(name)
            )
            for name, graph in graphs.items()
        }
    )


def _extractor(
    name: str, layers: list[str], state: dict[str, Tensor]
) -> FeatureExtractor:
    extractor = FeatureExtractor(name, layers, pre_trained=False)
    prefix = "backbone."
    weights = {
        key.removeprefix(prefix): value
        for key, value in state.items()
        if key.startswith(prefix)
    }
    extractor.feature_extractor.load_state_dict(weights)
    return extractor


def _export(pipeline: Pipeline, folder: Path, precision: str) -> None:
    """Write the graphs of a bundle as `anomedge.export` does, without the proof: this benchmark compares with anomalib."""
    folder.mkdir(exist_ok=True)
    model = model_without_fit(pipeline, (SIDE, SIDE))
    graph, _ = graph_from_model(model, (SIDE, SIDE), None, OPSET)
    PRECISIONS.get(precision).edit(
        graph, [f"pipeline.{name}" for name in pipeline.state_dict()]
    )
    taps = keep_shipped_outputs(graph)
    with without_unused(graph):
        holder = write_onnx(graph, folder / "model.onnx")
    set_outputs(graph, taps)
    write_tapped(graph, folder / "model.onnx", holder, folder / "stages.onnx")
    write_ir(folder / "model.onnx", folder / "model.xml")


class _Backbone(nn.Module):
    """Backbone alone: normalised images to the feature maps of a detector."""

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__()
        self.pipeline = pipeline

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.pipeline.extractor(images).values())


def _export_backbone(pipeline: Pipeline, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        torch.onnx.export(
            _Backbone(pipeline).eval(), (torch.zeros(2, 3, SIDE, SIDE),), path, dynamo=True, opset_version=18,
            input_names=["images"], dynamic_shapes=({0: torch.export.Dim("batch", min=1)},), external_data=False, verbose=False,
        )  # fmt: skip
    write_ir(path, path.with_suffix(".xml"))


def _write_part(case: str, path: Path) -> None:
    """Write the rest of the limit: one read of the statistics (row sums) for PaDiM, one product for PatchCore."""
    shape = shape_of_part(case)
    if case == "padim":
        node, result = (
            helper.make_node("ReduceSum", ["x", "constant"], ["y"], keepdims=0),
            [shape[0]],
        )
        constant = np.array([1], dtype=np.int64)
    else:
        node, result = (
            helper.make_node("MatMul", ["x", "constant"], ["y"]),
            [shape[0], COLUMNS],
        )
        constant = np.random.default_rng(1).standard_normal(
            (FEATURES, COLUMNS), dtype=np.float32
        )
    x, y = (
        helper.make_tensor_value_info(n, TensorProto.FLOAT, s)
        for n, s in (("x", shape), ("y", result))
    )
    graph = helper.make_graph(
        [node],
        "part",
        [x],
        [y],
        [numpy_helper.from_array(constant, "constant")],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    write_ir(path, path.with_suffix(".xml"))
