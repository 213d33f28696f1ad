"""The backbone in float16: folded first, typed at the seam, the same detector in every runtime, and the model untouched."""

import copy
import json
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from torch import nn

from anomedge import Inspector, runtimes
from anomedge.bundle import Bundle
from anomedge.components import FeatureExtractor
from anomedge.errors import ModelError
from anomedge.export.bundling import ExportOptions, export
from anomedge.export.precision.half import (
    HalfNetwork,
    _round_keeping_sums,
    halved,
)
from anomedge.export.precision.preflight import LoweringWarning
from anomedge.export.precision.setting import set_precision
from anomedge.export.tracing import graph_from_model, keep_shipped_outputs
from anomedge.export.writing import write_onnx
from anomedge.images import read_folder
from anomedge.parity.certificate import TOLERANCES
from anomedge.pipelines.folded_networks import folded_networks
from anomedge.pipelines.maps import map_sizes
from anomedge.precisions import PRECISIONS
from tests.conftest import FRAME
from tests.export.precision.backbones import BACKBONES, Whole, extractor_of, on


@pytest.fixture(scope="module")
def halves(model_paths, pictures, tmp_path_factory):
    """Of each detector a bundle in both precisions, and what was proven of it."""
    folder, proven = tmp_path_factory.mktemp("halves"), {}
    for detector, path in model_paths.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LoweringWarning)
            options = ExportOptions(
                frame=FRAME,
                golden=[pictures / "test"],
                precisions=["fp32", "fp16"],
            )
            certificate = export(path, folder / f"{detector}.anomedge", options)
        proven[detector] = (
            certificate,
            Bundle.open(folder / f"{detector}.anomedge"),
        )
    return proven


def test_each_folded_weight_is_rounded_once(models):
    """Not twice, as where a weight and a scale are halved and then multiplied."""
    model = on(models["padim"], Whole())
    half = HalfNetwork(
        folded_networks(model.pipeline, model.geometry, None)["extractor"]
    ).graph.get_buffer("inner.last.weight_folded")
    norm, kernel = (
        model.pipeline.extractor.inner.norm,
        model.pipeline.extractor.inner.last.weight.double(),
    )
    exact = (
        kernel
        * (
            norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
        )[:, None, None, None]
    )
    ulp = (
        2.0
        ** torch.floor(torch.log2(exact.abs().amax(dim=(2, 3), keepdim=True)))
        * 2**-10
    )
    assert half.dtype == torch.float16
    assert ((half.double() - exact).abs() <= ulp).all()


def test_sums_of_kernels_survive_rounding():
    kernel = (
        torch.randn(64, 3, 5, 5, generator=torch.Generator().manual_seed(0))
        * 20
    )
    kernel[..., 2, 2] -= kernel.sum(
        dim=(2, 3)
    )  # differences: the level of the picture must not come through
    kept, plain = _round_keeping_sums(kernel), kernel.half().float()
    assert torch.equal(kept, kept.half().float())
    worst = {
        name: k.double().sum(dim=(2, 3)).abs().max()
        for name, k in (("kept", kept), ("plain", plain))
    }
    assert worst["kept"] < 0.05 * worst["plain"]
    assert (kept - kernel).abs().max() <= 2 * (plain - kernel).abs().max()


@pytest.mark.slow
def test_the_model_stays_as_it_is(models, detector):
    model = models[detector]
    before = {
        name: x.clone() for name, x in model.pipeline.state_dict().items()
    }
    half = halved(model, folded_networks(model.pipeline, model.geometry, None))
    assert all(
        torch.equal(x, before[name])
        for name, x in model.pipeline.state_dict().items()
    )
    assert {
        x.dtype
        for x in model.pipeline.state_dict().values()
        if x.is_floating_point()
    } == {torch.float32}
    assert half.pipeline is not model.pipeline
    networks = model.pipeline.networks
    for name in networks:
        own = model.pipeline.get_submodule(name)
        assert half.pipeline.get_submodule(name) is not own
    head = {
        name: x
        for name, x in half.pipeline.named_buffers()
        if name.split(".")[0] not in networks
    }
    own = dict(model.pipeline.named_buffers())
    assert head and all(
        x.data_ptr() == own[name].data_ptr() for name, x in head.items()
    )


def types_of(path):
    graph = onnx.shape_inference.infer_shapes(
        onnx.load(path), strict_mode=True, data_prop=True
    ).graph
    types = {
        v.name: v.type.tensor_type.elem_type
        for v in [*graph.value_info, *graph.output, *graph.input]
    }
    return graph, types | {t.name: t.data_type for t in graph.initializer}


@pytest.mark.slow
def test_float16_begins_and_ends_at_the_seam(halves, detector):
    _, bundle = halves[detector]
    graph, types = types_of(bundle.file("model.fp16.onnx"))
    readers = {name: node for node in graph.node for name in node.input}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert convolutions and {
        types[name]
        for node in convolutions
        for name in [*node.input, *node.output]
    } == {TensorProto.FLOAT16}
    head = [
        n
        for n in graph.node
        if n.op_type
        in {
            "MatMul",
            "Gemm",
            "ReduceSum",
            "ReduceMax",
            "Sqrt",
            "Softmax",
            "Pow",
        }
    ]
    assert head and {types[name] for node in head for name in node.output} == {
        TensorProto.FLOAT
    }
    seam = [
        n
        for n in graph.node
        if n.op_type == "Cast"
        and TensorProto.FLOAT16 in {types[n.input[0]], types[n.output[0]]}
    ]
    makers = {name: node for node in graph.node for name in node.output}
    stored = [n for n in seam if n.input[0].endswith(".half")]
    # Means over the image are taken in float32, which is a way out and one in again.
    ways_in = [n for n in seam if types[n.output[0]] == TensorProto.FLOAT16]
    (entry,) = [
        n for n in ways_in if makers[n.input[0]].op_type != "ReduceMean"
    ]
    assert readers[entry.output[0]].op_type in {"Conv", "Pad"}
    ways_out = [
        n
        for n in seam
        if types[n.output[0]] == TensorProto.FLOAT and n not in stored
    ]
    ends = [n for n in ways_out if readers[n.output[0]].op_type != "ReduceMean"]
    assert len(ends) == len(
        [
            stage
            for stage in bundle.manifest.stages
            if stage.startswith("features/")
        ]
    )
    assert bool(stored) is (detector == "padim")
    assert {types[o.name] for o in graph.output} == {TensorProto.FLOAT}


@pytest.mark.slow
def test_one_file_decides_alike_everywhere(halves, detector, runtime, pictures):
    certificate, bundle = halves[detector]
    assert certificate.passed
    cells = [
        cell
        for cell in certificate.cells
        if cell.precision == "fp16" and cell.runtime == runtime
    ]
    assert {cell.batch for cell in cells} == {1, 2, 3, 8}
    assert not any(cell.flips for cell in cells)
    assert certificate.tolerances["fp16"] == TOLERANCES["fp16"]
    with Inspector.open(bundle, runtime=runtime, precision="fp16") as inspector:
        scores = [
            r.score
            for r in inspector.predict_batch(
                [p.frame() for p in read_folder(pictures / "test")]
            )
        ]
    with Inspector.open(bundle, runtime=runtime) as inspector:
        exact = [
            r.score
            for r in inspector.predict_batch(
                [p.frame() for p in read_folder(pictures / "test")]
            )
        ]
    apart = np.abs(np.subtract(scores, exact)).max() / bundle.decision.scale
    assert 0 < apart < TOLERANCES["fp16"].score


@pytest.mark.slow
def test_it_is_half_the_size(halves):
    _, bundle = halves["padim"]
    files = bundle.manifest.files
    for suffix in (".onnx", ".bin"):
        folder = "" if suffix == ".onnx" else "openvino/"
        assert (
            files[f"{folder}model.fp16{suffix}"].bytes
            < 0.6 * files[f"{folder}model{suffix}"].bytes
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", BACKBONES)
def test_backbones_of_all_kinds(models, pictures, name, tmp_path, runtime):
    """Layer and batch norms, squeeze and excitation, response norms: every runtime takes what they come to at opset 17."""
    half, whole = (
        with_backbone(models["patchcore"], name, halve)
        for halve in (True, False)
    )
    frame = read_folder(pictures / "test")[0].frame()[None]
    scores = []
    for model in (half, whole):
        graph, _ = graph_from_model(model, FRAME, None, 17)
        keep_shipped_outputs(graph)
        write_onnx(graph, tmp_path / "model.onnx")
        with runtimes.open(
            tmp_path / "model.onnx", runtime=runtime, threads=1
        ) as session:
            scores.append(session.run({"frames": frame})["anomaly_map"])
    assert np.isfinite(scores[0]).all()
    apart = np.abs(scores[0] - scores[1]).max() / np.abs(scores[1]).max()
    assert 0 < apart < 0.02


def with_backbone(model, name, halve):
    """PatchCore on another backbone; its bank are patches that nobody saw."""
    extractor = extractor_of(name)
    config = model.pipeline.config.model_copy(
        update={
            "backbone": name,
            "layers": tuple(extractor.layers),
            "n_vectors": 50,
        }
    )
    pipeline = type(model.pipeline)(config, extractor).eval()
    assert map_sizes(extractor, model.geometry.image)
    scale = (
        next(iter(extractor(torch.zeros(1, 3, *model.geometry.image)).values()))
        .abs()
        .max()
    )
    generator = torch.Generator().manual_seed(0)
    pipeline.bank.fill(
        torch.randn(50, sum(extractor.channels), generator=generator) * scale
    )
    other = replace(model, pipeline=pipeline)
    return (
        halved(other, folded_networks(other.pipeline, other.geometry, None))
        if halve
        else other
    )


class Grouped(nn.Module):
    """GroupNorm, standardised weights' var_mean, and channel attention whose reshape names the batch."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm = nn.Conv2d(3, 8, 3, 2, 1), nn.GroupNorm(2, 8)
        self.mix = nn.Conv1d(1, 1, 3, padding=1)

    def forward(self, x):
        x = self.norm(self.conv(x) * 400)
        variance, mean = torch.var_mean(x, dim=(2, 3), keepdim=True)
        x = (x - mean) / (variance + 1e-3).sqrt()
        weights = self.mix(x.mean((2, 3)).view(x.shape[0], 1, -1)).view(
            x.shape[0], -1, 1, 1
        )
        return {"all": x * weights.sigmoid()}


@pytest.mark.parametrize("batch", [None, 2])
def test_norms_over_an_image_are_float32_and_a_fixed_batch_may_be_named(
    models, batch
):
    model = on(models["padim"], Grouped().eval().requires_grad_(False))
    graph = folded_networks(model.pipeline, model.geometry, batch)["extractor"]
    images = torch.randn(
        batch or 1, 3, 64, 64, generator=torch.Generator().manual_seed(1)
    )
    images = torch.nn.functional.interpolate(images, model.geometry.image)
    half = HalfNetwork(graph)
    for node in half.graph.graph.nodes:
        if node.target in {
            torch.ops.aten.group_norm.default,
            torch.ops.aten.var_mean.correction,
        }:
            assert all(
                given.target is torch.ops.aten.to.dtype
                for given in node.all_input_nodes
            )
    with torch.no_grad():
        expected, produced = graph(images)["all"], half(images)["all"]
    torch.testing.assert_close(
        produced, expected, rtol=0, atol=2e-2 * float(expected.abs().max())
    )


def test_a_backbone_that_names_its_batch_is_exported_for_that_batch(
    models, tmp_path
):
    torch.manual_seed(0)
    extractor = FeatureExtractor(_Attention(), ["conv"], pre_trained=False)
    config = models["patchcore"].pipeline.config.model_copy(
        update={"backbone": "_Attention", "layers": ("conv",), "n_vectors": 50}
    )
    pipeline = type(models["patchcore"].pipeline)(config, extractor).eval()
    pipeline.bank.fill(torch.randn(50, sum(extractor.channels)))
    model = replace(models["patchcore"], pipeline=pipeline)
    graph, names = graph_from_model(
        halved(model, folded_networks(model.pipeline, model.geometry, 2)),
        FRAME,
        2,
        17,
    )
    assert names[-1] == "score"
    assert graph.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 2


class _Attention(nn.Module):
    """Its middle layer's weights come from a reshape that names the batch."""

    def __init__(self):
        super().__init__()
        self.stem, self.mix, self.conv = (
            nn.Conv2d(3, 8, 3, 4, 1),
            nn.Conv1d(1, 1, 3, padding=1),
            nn.Conv2d(8, 8, 3, 2, 1),
        )

    def forward(self, x):
        x = self.stem(x)
        weights = self.mix(x.mean((2, 3)).view(x.shape[0], 1, -1)).view(
            x.shape[0], -1, 1, 1
        )
        return self.conv(x * weights.sigmoid())


@pytest.mark.slow
def test_long_sums_are_taken_in_float32(models, tmp_path):
    model = with_backbone(
        models["patchcore"], "mobilenetv3_small_050", halve=True
    )
    graph, _ = graph_from_model(model, FRAME, None, 17)
    onnx.save(graph, tmp_path / "model.onnx")
    graph, types = types_of(tmp_path / "model.onnx")
    means = [
        node
        for node in graph.node
        if node.op_type in {"ReduceMean", "GlobalAveragePool"}
    ]
    assert means and {types[node.input[0]] for node in means} == {
        TensorProto.FLOAT
    }


@pytest.mark.slow
@pytest.mark.parametrize("batch", [None, 2], ids=["dynamic", "fixed"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_tensorrt_rtx_parses_and_builds_it(
    models, detector, precision, batch, tmp_path
):
    pytest.importorskip("tensorrt_rtx")
    model = models[detector]
    if PRECISIONS.get(precision).half_networks:
        model = halved(
            model, folded_networks(model.pipeline, model.geometry, batch)
        )
    graph, _ = graph_from_model(model, FRAME, batch, 17)
    set_precision(graph, model, precision)
    keep_shipped_outputs(graph)
    write_onnx(graph, tmp_path / "model.onnx")
    command = [
        sys.executable,
        "-m",
        "anomedge",
        "build",
        str(tmp_path / "model.onnx"),
        "--runtime",
        "rtx",
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["bytes"] > 10_000


@pytest.mark.slow
def test_a_copy_of_the_model_exports_the_same_graph(models):
    """Names and numbers follow from the model alone, not from what was traced before it."""
    graphs = []
    for model in (models["padim"], copy.deepcopy(models["padim"])):
        graph, _ = graph_from_model(
            halved(
                model, folded_networks(model.pipeline, model.geometry, None)
            ),
            FRAME,
            None,
            17,
        )
        graphs.append(graph.SerializeToString(deterministic=True))
    assert graphs[0] == graphs[1]


def test_stages_that_depend_on_values_are_refused_by_name(models):
    pipeline = models["padim"].pipeline.with_networks({})
    pipeline.stages = lambda images: images.sum().item()
    with pytest.raises(ModelError, match="padim cannot be run without data"):
        folded_networks(pipeline, models["padim"].geometry, None)
