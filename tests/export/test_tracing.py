"""What is written is what was asked for: asserted on the files, not on the exporter's word."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from torch import nn

from anomedge import runtimes
from anomedge.errors import ExportError
from anomedge.export.graphs import FORBIDDEN
from anomedge.export.tracing import graph_from_model, keep_shipped_outputs
from anomedge.export.writing import write_onnx
from anomedge.pipelines.folded_networks import folded_networks
from anomedge.pipelines.maps import map_sizes
from tests.conftest import FRAME, RUNTIMES


def test_the_graph_is_what_was_asked_for(bundle):
    graph = onnx.load(bundle.file("model.onnx"))
    assert [(o.domain, o.version) for o in graph.opset_import] == [("", 17)]
    assert graph.ir_version == 8
    assert not FORBIDDEN & {node.op_type for node in graph.graph.node}
    assert not any(node.domain for node in graph.graph.node)
    assert [
        node.op_type for node in graph.graph.node if "frames" in node.input
    ] == ["Cast"]
    (frames,) = graph.graph.input
    assert frames.name == "frames"
    assert frames.type.tensor_type.elem_type == TensorProto.UINT8
    assert [
        d.dim_param or d.dim_value for d in frames.type.tensor_type.shape.dim
    ] == ["batch", *FRAME, 3]
    shapes = {
        o.name: [
            d.dim_param or d.dim_value for d in o.type.tensor_type.shape.dim
        ]
        for o in graph.graph.output
    }
    assert shapes == {"score": ["batch"], "anomaly_map": ["batch", 1, 64, 72]}
    onnx.checker.check_model(bundle.file("model.onnx"), full_check=True)


def test_statistics_are_initialisers(bundle, detector):
    graph = onnx.load(bundle.file("model.onnx")).graph
    inside = sum(len(t.raw_data) for t in graph.initializer)
    assert not [n for n in graph.node if n.op_type == "Constant"]
    expected = {
        "padim": 4 * 16 * 18 * 100 * 101 // 2,  # triangles
        "patchcore": 4 * bundle.manifest.config.get("n_vectors", 0) * 80,
    }
    assert inside > expected[detector]


def test_stages_share_the_weights(bundle):
    assert bundle.file("stages.onnx").stat().st_size < 100_000
    stages = onnx.load(bundle.file("stages.onnx"), load_external_data=False)
    assert [o.name for o in stages.graph.output] == list(bundle.manifest.stages)
    assert {
        e.value
        for t in stages.graph.initializer
        for e in t.external_data
        if e.key == "location"
    } == {"model.onnx"}


def test_no_path_of_this_machine_is_in_any_file(bundle, pictures):
    for name in bundle.manifest.files:
        content = bundle.file(name).read_bytes()
        for path in (
            str(pictures),
            str(Path(torch.__file__).parent),
            str(Path.cwd()),
        ):
            assert path.encode() not in content, name


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 3])
def test_a_fixed_batch_is_that_batch(models, detector, batch, tmp_path):
    graph, _ = graph_from_model(models[detector], FRAME, batch, 17)
    path = tmp_path / "model.onnx"
    keep_shipped_outputs(graph)
    write_onnx(graph, path)
    with runtimes.open(path, runtime=RUNTIMES[0]) as session:
        assert session.inputs["frames"].shape == (batch, *FRAME, 3)
        assert session.run({"frames": np.zeros((batch, *FRAME, 3), np.uint8)})[
            "score"
        ].shape == (batch,)


@pytest.mark.slow
@pytest.mark.parametrize("opset", [18, 20])
def test_later_opsets(models, opset):
    graph, _ = graph_from_model(models["padim"], FRAME, None, opset)
    assert graph.opset_import[0].version == opset


class Remembering(nn.Module):
    """As timm's LeViT, TinyViT and EfficientFormer do: what was computed once is kept until the mode is set."""

    def __init__(self, extractor):
        super().__init__()
        self.inner, self.backbone, self.channels = (
            extractor,
            extractor.backbone,
            extractor.channels,
        )
        self.one = nn.Parameter(torch.ones(1), requires_grad=False)
        self.kept = []

    def train(self, mode=True):
        self.kept = []
        return super().train(mode)

    def forward(self, x):
        self.kept = self.kept or [self.one * 1]
        return {
            layer: value * self.kept[0]
            for layer, value in self.inner(x).items()
        }


@pytest.mark.parametrize(
    "traced",
    [
        lambda model: graph_from_model(model, FRAME, None, 17),
        lambda model: folded_networks(model.pipeline, model.geometry, None),
        lambda model: map_sizes(model.pipeline.extractor, model.geometry.image),
    ],
)
def test_backbones_that_remember_are_left_with_real_numbers(models, traced):
    """They used to keep a tensor without numbers, which spoilt the trace, and whatever was computed after it."""
    remembering = Remembering(models["padim"].pipeline.extractor)
    model = replace(
        models["padim"],
        pipeline=models["padim"].pipeline.with_extractor(remembering),
    )
    traced(model)
    images = torch.rand(1, 3, *model.geometry.image)
    with torch.no_grad():
        assert type(score := model.pipeline(images).score) is torch.Tensor
        assert torch.equal(score, models["padim"].pipeline(images).score)


class Mismatched(nn.Module):
    def forward(self, x):
        return {
            "all": torch.nn.functional.conv2d(
                x, torch.zeros(4, 3, 1, 1, dtype=torch.float16)
            )
        }


def test_what_cannot_be_traced_is_said(models):
    model = replace(
        models["padim"],
        pipeline=models["padim"].pipeline.with_extractor(Mismatched()),
    )
    with pytest.raises(
        ExportError,
        match=r"could not trace this detector: .*; use another backbone or layer, or another",
    ):
        graph_from_model(model, FRAME, None, 17)


def test_a_detector_that_depends_on_its_batch_is_refused(models):
    """What anomalib's PatchCore does: a comparison of the batch with a number freezes the example's size."""
    import copy

    model = copy.deepcopy(models["padim"])
    stages = model.pipeline.stages

    def frozen(images):
        if images.shape[0] <= 2:
            return stages(images)
        return stages(images * 1.0)

    model.pipeline.stages = frozen
    with pytest.raises(ExportError):
        graph_from_model(model, FRAME, None, 17)
