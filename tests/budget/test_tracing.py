"""Estimates against what was made and measured: sizes of bundles, memory of processes, arithmetic of ONNX graphs.

Memory is that of a process which runs the graph under ONNX Runtime, above the same process once it has run a graph of one
node; where malloc finds room differs from process to process, so it is the median of three. Real detectors are in the
slow tests; a small one, whose values outweigh everything else, is always measured. Sizes and memory are held to 15 %.
"""

import json
import math
import subprocess
import sys
from pathlib import Path
from statistics import median

import onnx
import pytest
from onnx import TensorProto, helper

from anomedge.budget import Network, memory_of, stage_costs
from anomedge.budget.files import file_sizes
from anomedge.budget.tracing import network_of
from anomedge.errors import ExportError
from anomedge.pipelines.model import Model
from tests.budget.models import TOLERANCE, random_model, written
from tests.conftest import FRAME

STATUS = Path("/proc/self/status")
MEASURE = """
import json, sys
from pathlib import Path
import numpy as np
from anomedge import runtimes

def resident(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024

idle, graph, batch = sys.argv[1], sys.argv[2], int(sys.argv[3])
with runtimes.open(idle, "onnxruntime", threads=2) as session:
    session.run({"x": np.zeros(1, np.float32)})
    before = resident("VmRSS")
    with runtimes.open(graph, "onnxruntime", threads=2) as measured:
        height, width = measured.inputs["frames"].shape[1:3]
        frames = np.random.default_rng(0).integers(0, 256, (batch, height, width, 3), dtype=np.uint8)
        for _ in range(3):
            measured.run({"frames": frames})
        print(resident("VmHWM") - before)
"""


def measured(graph: Path, batch: int, folder: Path) -> int:
    """Bytes at the highest, above those after a graph of one node."""
    node = helper.make_node("Relu", ["x"], ["y"])
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1])
        for name in "xy"
    ]
    idle = helper.make_model(
        helper.make_graph([node], "idle", values[:1], values[1:]),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    idle.ir_version = 8
    onnx.save(idle, folder / "idle.onnx")
    command = [
        sys.executable,
        "-c",
        MEASURE,
        str(folder / "idle.onnx"),
        str(graph),
        str(batch),
    ]
    done = [
        subprocess.run(command, capture_output=True, text=True)
        for _ in range(3)
    ]
    assert not any(process.returncode for process in done), done
    return median(json.loads(process.stdout) for process in done)


def assert_memory(
    model: Model, frame: tuple[int, int], batches: list[int], folder: Path
) -> None:
    graph = written(model, frame, folder)
    for batch in batches:
        estimate, real = (
            memory_of(network_of(model, frame, batch)).peak,
            measured(graph, batch, folder),
        )
        print(
            f"batch {batch}: {estimate / 1e6:.0f} MB estimated, {real / 1e6:.0f} measured, {estimate / real:.3f}"
        )
        assert estimate == pytest.approx(real, rel=TOLERANCE), (
            f"batch {batch}: {estimate / real:.2f} of what it takes"
        )


@pytest.mark.slow
@pytest.mark.skipif(
    not STATUS.exists(), reason="the system does not tell a process's memory"
)
def test_memory_of_a_bank_larger_than_its_backbone(tmp_path):
    model = random_model("patchcore", "test_efficientnet", 192, 12_000)
    assert_memory(model, (192, 256), [2], tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(
    not STATUS.exists(), reason="the system does not tell a process's memory"
)
@pytest.mark.parametrize(
    ("detector", "backbone", "count", "frame", "batches"),
    [
        ("padim", "resnet18", 100, (480, 640), [1, 8]),
        ("padim", "resnet18", 100, (1080, 1920), [1, 4]),
        ("padim", "tf_efficientnet_lite0", 60, (480, 640), [1, 8]),
        ("patchcore", "wide_resnet50_2", 1_000, (480, 640), [1, 8]),
        ("patchcore", "wide_resnet50_2", 10_000, (480, 640), [1, 4, 8]),
        ("patchcore", "wide_resnet50_2", 20_000, (1080, 1920), [1]),
        ("patchcore", "tf_efficientnet_lite0", 10_000, (480, 640), [1, 8]),
        ("patchcore", "resnet18", 5_000, (720, 1280), [1, 4]),
    ],
)
def test_memory_of_real_detectors(
    detector, backbone, count, frame, batches, tmp_path
):
    assert_memory(
        random_model(detector, backbone, 256, count), frame, batches, tmp_path
    )


@pytest.mark.slow
def test_sizes_do_not_depend_on_the_batch(models, detector):
    one, three = (
        network_of(models[detector], FRAME, batch) for batch in (1, 3)
    )
    assert file_sizes(one, FRAME, 1) == pytest.approx(
        file_sizes(three, FRAME, 3), rel=0.03
    )
    assert sum(o.flops for o in three.operations) == 3 * sum(
        o.flops for o in one.operations
    )


def flops_of_onnx(path: Path, batch: int) -> int:
    """Multiplications and additions of the exported graph, from its shapes."""
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch
    for value in model.graph.output:
        value.type.tensor_type.shape.ClearField("dim")
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {
        v.name: [d.dim_value for d in v.type.tensor_type.shape.dim]
        for v in [*graph.value_info, *graph.input]
    }
    shapes |= {
        v.name: [d.dim_value for d in v.type.tensor_type.shape.dim]
        for v in graph.output
    }
    shapes |= {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    total = 0
    for node in graph.node:
        if node.op_type == "Conv":
            total += (
                2
                * math.prod(shapes[node.output[0]])
                * math.prod(shapes[node.input[1]][1:])
            )
        elif node.op_type in {"MatMul", "Gemm"}:
            assert not any(
                a.name.startswith("trans") and a.i for a in node.attribute
            )
            total += (
                2
                * math.prod(shapes[node.output[0]])
                * shapes[node.input[0]][-1]
            )
    return total


@pytest.mark.parametrize("batch", [1, 3])
def test_arithmetic_is_the_exported_graphs(
    models, bundle_paths, detector, batch
):
    counted = sum(
        operation.flops
        for operation in network_of(models[detector], FRAME, batch).operations
    )
    real = flops_of_onnx(bundle_paths[detector] / "model.onnx", batch)
    assert real > 1e6
    assert counted == pytest.approx(real, rel=0.02)


def test_stages_are_the_bundles(models, bundle_paths, detector):
    network = network_of(models[detector], FRAME, 1)
    manifest = json.loads(
        (bundle_paths[detector] / "manifest.json").read_text()
    )
    assert list(network.stages) == manifest["stages"]
    costs = {stage.name: stage for stage in stage_costs(network)}
    assert costs["preprocessed"].shape == (1, 3, *manifest["image"]["crop"])
    assert costs["anomaly_map"].shape == (1, 1, *manifest["image"]["crop"])
    # The frame must be read, and the constants are divided among the stages; tables are read in part only.
    assert costs["preprocessed"].moved >= FRAME[0] * FRAME[1] * 3
    assert 0.5 * sum(network.constants.values()) < sum(
        s.weights for s in costs.values()
    )
    assert sum(s.weights for s in costs.values()) <= sum(
        network.constants.values()
    )


@pytest.mark.slow
def test_patches_times_a_part_of_the_bank_are_the_largest_values():
    model = random_model("patchcore", "test_efficientnet", 64, 3_000)
    network = network_of(model, (64, 64), 2)
    patches = next(
        operation
        for operation in network.operations
        if operation.name == network.stages["distances"]
    )
    memory = memory_of(network)
    assert memory.largest[0].bytes == math.prod(patches.shape) * 2_048 * 4
    bank = sum(
        size for name, size in network.constants.items() if "vectors" in name
    )
    assert bank >= 3_000 * sum(model.pipeline.extractor.channels) * 4
    assert (
        memory.constants >= 2 * bank
    )  # looked up in as a whole, so the parts come on top


@pytest.mark.slow
def test_nothing_is_computed(models, detector, monkeypatch):
    """A detector without numbers costs the same: only shapes count (and which statistics are always zero)."""
    from anomedge.budget.suggestions import _without_data

    model = models[detector]
    real = network_of(model, FRAME, 2)
    empty = network_of(
        _without_data(model, model.pipeline.config, model.geometry),
        FRAME,
        2,
        like=real,
    )
    assert empty.operations == real.operations
    assert empty.constants == real.constants
    assert empty.stored == real.stored
    assert isinstance(real, Network)


def test_what_torch_cannot_trace_is_said(models, detector, monkeypatch):
    model = models[detector]

    def untraceable(images):
        raise RuntimeError("depends on data")

    monkeypatch.setattr(model.pipeline, "stages", untraceable)
    with pytest.raises(ExportError, match="depends on data"):
        network_of(model, FRAME, 1)
