"""Every constant of a detector arrives in its graph and counts in every runtime, however small or near one it is."""

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from anomedge.export.bundling import ExportOptions, export
from anomedge.export.tracing import Tracer, _exported
from anomedge.pipelines.padim import Padim
from anomedge.runtimes.imports import import_onnxruntime, import_openvino
from tests.commands.running import run
from tests.conftest import FRAME, RUNTIMES


class Small(nn.Module):
    """Values of about 1e-9, of which each constant makes a large part; the last is nearly one."""

    def __init__(self):
        super().__init__()
        self.register_buffer("tiny", torch.tensor(1e-5))

    def forward(self, frames):
        x = frames.float() * 1e-9
        length = (x * x).sum(dim=1, keepdim=True)
        return (
            x - 3.7e-9,
            torch.sqrt(x + 1e-9),
            x / (torch.sqrt(length) + 1e-10),
            x + self.tiny * self.tiny,
            frames.float() * 1.000004,
            frames.float() / 1.000004,
            3.7e-9 + x,
        )


NAMES = ["less", "root", "unit", "folded", "times", "by", "more"]
FRAMES = np.arange(12, dtype=np.uint8).reshape(2, 6)


def traced(module, names):
    example = torch.from_numpy(FRAMES)
    return _exported(Tracer(), module, example, names, dynamic=False, opset=18)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    proto = traced(Small().eval(), NAMES)
    path = tmp_path_factory.mktemp("constants") / "small.onnx"
    onnx.save(proto, path)
    return path


def under_onnxruntime(path):
    session = import_onnxruntime().InferenceSession(
        path, providers=["CPUExecutionProvider"]
    )
    return dict(zip(NAMES, session.run(NAMES, {"frames": FRAMES}), strict=True))


def under_openvino(path):
    openvino = import_openvino()
    from anomedge.runtimes.ov import _core

    compiled = _core().compile_model(
        _core().read_model(path),
        "CPU",
        {"INFERENCE_PRECISION_HINT": openvino.Type.f32},
    )
    results = compiled(FRAMES)
    return {name: results[name] for name in NAMES}


UNDER = {"onnxruntime": under_onnxruntime, "openvino": under_openvino}


@pytest.mark.parametrize(
    "runtime", [name for name in RUNTIMES if name in UNDER]
)
def test_small_constants_count_in_every_runtime(runtime, exported):
    values = UNDER[runtime](exported)
    expected = dict(zip(NAMES, Small()(torch.from_numpy(FRAMES)), strict=True))
    for name in NAMES:
        np.testing.assert_allclose(
            values[name],
            expected[name].numpy(),
            rtol=3e-6,
            atol=0,
            err_msg=name,
        )
    # Near one, what is lost is just above float32's rounding.
    for name in ("times", "by"):
        np.testing.assert_allclose(
            values[name],
            expected[name].numpy(),
            rtol=2e-7,
            atol=0,
            err_msg=name,
        )


def test_numbers_that_do_nothing_are_still_dropped():
    class Idle(nn.Module):
        def forward(self, frames):
            x = frames.float()
            return (((x + 0.0) * 1.0 - 0.0) / 1.0 + 2.0,)

    proto = traced(Idle(), ["score"])
    assert [node.op_type for node in proto.graph.node] == ["Cast", "Add"]


SMALL = (3.7e-9, 1e-9, 1e-10)


@pytest.mark.slow
def test_a_detector_of_small_constants_is_exported_and_proven(
    models, model_paths, tmp_path, monkeypatch
):
    """Each constant moves its score by 0.09 to 3.7 scales, of which the proof allows 1e-4."""
    plain, decision = Padim.stages, models["padim"].decision

    def stages(self, images):
        named = plain(self, images)
        x = named["score"] * (1e-9 / decision.threshold)
        moved = (
            (x - SMALL[0]) * 1e9
            + torch.sqrt(x + SMALL[1]) * 1e5
            + x / (x.abs() + SMALL[2])
        )
        return named | {"score": named["score"] + moved * decision.scale}

    monkeypatch.setattr(Padim, "stages", stages)
    path = tmp_path / "small.anomedge"
    certificate = export(
        model_paths["padim"],
        path,
        ExportOptions(frame=FRAME, runtimes=RUNTIMES, batches=[1]),
    )
    assert certificate.passed
    assert {cell.runtime for cell in certificate.cells} == set(RUNTIMES)
    assert (
        run("verify", path, "--model", model_paths["padim"], "--batch", "1")
        == 0
    )
    stored = onnx.load(path / "model.onnx").graph.initializer
    numbers = {
        float(numpy_helper.to_array(tensor))
        for tensor in stored
        if not tensor.dims
    }
    assert {float(np.float32(number)) for number in SMALL} <= numbers
