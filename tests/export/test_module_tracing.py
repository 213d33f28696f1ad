"""Ways to trace a module, and graphs that keep its constants under every runtime."""

import numpy as np
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from anomedge.errors import ExportError, InputError
from anomedge.export.module_tracing import (
    ModuleTracer,
    UnsharedOperatorWarning,
    Way,
    check_networks,
    traced_module,
    tracer_of,
)
from anomedge.export.options import ExportOptions
from anomedge.export.tracing import Tracer, keep_shipped_outputs
from anomedge.interop.probing import Probe
from anomedge.pipelines.model import Model
from anomedge.resample import Geometry
from anomedge.runtimes import get as runtime_of
from anomedge.runtimes import options_for
from tests.conftest import RUNTIMES
from tests.interop.modules import SIZE, Returning, Student, Tiny, scored
from tests.interop.test_module import around
from tests.parity.examples import DECISION

FRAME = (24, 32)
BATCHES = Probe(takes_batches=True, has_map=True)
OPTIONS = ExportOptions(frame=FRAME)


def model_of(module, **config) -> Model:
    return Model(around(module, **config), Geometry(SIZE), DECISION, None)


def traced(module, options=OPTIONS, probed=BATCHES):
    return traced_module(model_of(module), FRAME, options, probed)


def frames(count):
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (count, *FRAME, 3), dtype=np.uint8)


def run(graph, runtime, path, given):
    keep_shipped_outputs(graph)
    path.write_bytes(graph.SerializeToString())
    kind = runtime_of(runtime)
    with kind.from_file(path, options_for(kind)) as session:
        return session.run({"frames": given})


def images_of(given):
    from anomedge.pipelines.preprocessing import to_images

    return to_images(torch.from_numpy(given), Geometry(SIZE))


def test_strict_export_comes_first():
    tracer, options = traced(Tiny())
    assert tracer.way == Way(strict=True, batch=None)
    assert str(tracer.way) == "strict export, any batch"
    assert options == OPTIONS
    assert tracer.unshared == ()


class Opaque(nn.Module):
    """It reads a frame of the interpreter, which strict export does not follow."""

    def forward(self, images):
        import sys

        sys._getframe()
        return scored(images.mean(dim=1, keepdim=True))


def test_then_export_without_strictness():
    tracer, _ = traced(Opaque())
    assert str(tracer.way) == "non-strict export, any batch"


class OneImage(nn.Module):
    def forward(self, images):
        grey = images.mean(dim=1, keepdim=True)
        return scored(grey * len(list(images)))


def test_then_batch_1():
    tracer, options = traced(OneImage())
    assert tracer.way.batch == 1
    assert options.batch == 1


def test_modules_of_one_image_and_fixed_batches():
    alone = Probe(takes_batches=False, has_map=True)
    assert traced(Tiny(), probed=alone)[1].batch == 1
    fixed = ExportOptions(frame=FRAME, batch=3)
    tracer, options = traced(Tiny(), fixed)
    assert tracer.way.batch == options.batch == 3


def test_the_first_reason_is_told():
    def decide(_, grey):
        return scored(grey if grey.mean() > 0.5 else grey * 2)

    with pytest.raises(ExportError, match=r"this module.*depend on values"):
        traced(Returning(decide))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_constant_survives(runtime, tmp_path):
    module, given = Student(), frames(8)
    tracer = ModuleTracer(Way(strict=False, batch=None))
    graph, _ = tracer.graph(model_of(module), FRAME, None, 17)
    stored = {
        float(array)
        for array in map(numpy_helper.to_array, graph.graph.initializer)
        if array.size == 1 and array.dtype == np.float32
    }
    for constant in (3.7e-9, 1e-10, 1e-9, 1.000004):
        assert min(abs(value / constant - 1) for value in stored) < 1e-6
    with torch.no_grad():
        expected = model_of(module).pipeline(images_of(given)).score.numpy()
    actual = run(graph, runtime, tmp_path / "x.onnx", given)["score"]
    spread = np.ptp(expected)
    assert np.abs(actual - expected).max() < 1e-3 * spread
    # Without 1e-9 under the root, every decision at this threshold changes.
    lost = 1e4 * np.sqrt((expected / 1e4) ** 2 - 1e-9)
    threshold = (expected.min() + lost.max()) / 2
    assert (expected > threshold).all() and not (lost > threshold).any()
    assert (actual > threshold).all()


def test_images_are_contiguous_while_tracing():
    def flat(images, grey):
        return images.view(-1, 3 * SIZE[0] * SIZE[1]).mean(dim=1), grey

    assert traced(Returning(flat))[0].way.batch is None


@pytest.mark.slow
@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("mode", ["nearest", "bicubic"])
def test_resizes_agree_under_every_runtime(runtime, mode, tmp_path):
    module, given = Tiny(mode), frames(3)
    tracer = ModuleTracer(Way(strict=False, batch=None))
    graph, _ = tracer.graph(model_of(module), FRAME, None, 17)
    assert not {"Resize", "Upsample"} & {n.op_type for n in graph.graph.node}
    with torch.no_grad():
        expected = model_of(module).pipeline(images_of(given))
    actual = run(graph, runtime, tmp_path / "x.onnx", given)
    np.testing.assert_allclose(
        actual["anomaly_map"], expected.anomaly_map.numpy(), atol=2e-5
    )


def test_operators_that_are_not_shared_are_named():
    def transform(_, grey):
        return scored(torch.fft.rfft2(grey).abs()[..., : SIZE[1] // 2])

    with pytest.warns(UnsharedOperatorWarning, match="DFT.*anomedge lint"):
        tracer, _ = traced(Returning(transform), ExportOptions(FRAME, opset=18))
    assert "DFT" in tracer.unshared


def test_a_module_that_caches_keeps_no_tensor_without_data():
    class Caching(nn.Module):
        def __init__(self):
            super().__init__()
            self.tables = {}

        def forward(self, images):
            if len(images.shape) not in self.tables:
                self.tables[len(images.shape)] = torch.arange(24.0)
            grey = images.mean(dim=1, keepdim=True)
            return scored(grey * self.tables[4])

    model = model_of(Caching())
    traced_module(model, FRAME, OPTIONS, BATCHES)
    assert model.pipeline.held.tables == {}
    assert model.pipeline(torch.ones(1, 3, *SIZE)).score.item() == 23.0


def test_float16_needs_networks():
    options = ExportOptions(frame=FRAME, precisions=["fp32", "fp16"])
    with pytest.raises(InputError, match="fp16 for a module without networks"):
        check_networks(around(Tiny()), options)
    check_networks(around(Tiny(), networks=("body",)), options)
    storage = ExportOptions(frame=FRAME, precisions=["fp16-storage"])
    check_networks(around(Tiny()), storage)


def test_other_detectors_are_traced_as_before(models):
    tracer, options = tracer_of(models["padim"], FRAME, OPTIONS, [])
    assert type(tracer) is Tracer
    assert options is OPTIONS
