"""What the builder is told, release by release."""

import pytest

from anomedge.errors import InputError
from anomedge.runtimes import GraphFile, get, options_for
from anomedge.runtimes.tensorrt.builder import BuildRequest, build
from anomedge.runtimes.tensorrt.options import EngineOptions
from tests.runtimes.tensorrt.engines import HALF, made


def test_an_accelerator_is_used_where_there_is_one(trt, graph):
    fixed = {
        "inputs": {"frames": ["UINT8", [2, 4, 6, 3]]},
        "outputs": {"score": ["FLOAT", [2]]},
    }
    with pytest.raises(
        InputError, match=r"got dla=1; this device and release have 0"
    ):
        made(graph(**HALF | fixed), dla=1)
    trt.cores = 2
    with pytest.raises(
        InputError, match=r"takes one fixed batch: export with --batch N"
    ):
        made(graph(**HALF), dla=1)
    made(graph(**HALF | fixed), dla=1)
    assert (trt.config.DLA_core, trt.config.default_device_type) == (
        1,
        trt.DeviceType.DLA,
    )
    if trt.__version__.startswith("11"):
        assert trt.config._flags == {"GPU_FALLBACK"}
    else:
        assert trt.config._flags == {
            "GPU_FALLBACK",
            "FP16",
            "OBEY_PRECISION_CONSTRAINTS",
        }
        with pytest.raises(InputError, match="graph in float32"):
            made(graph(**fixed), dla=1)


def test_the_builder_is_on_the_gpu_asked_for(new, machine, graph):
    machine.gpus("First", "Second")
    (
        made(graph()),
        get("trt").build(
            graph("two.onnx"), options_for(get("trt"), device="cuda:1")
        ),
    )
    assert list(machine.cuda.chosen.values())[-1] == 1


def test_a_timing_cache_is_kept_and_used_again(trt, graph, tmp_path):
    made(graph())
    (kept,) = (tmp_path / "model.onnx.engines").glob("*.timing")
    assert kept.read_bytes() == b"timed "
    made(graph(), batches=(1, 1, 2))
    assert kept.read_bytes() == b"timed timed "
    kept.write_bytes(b"spoilt")
    made(graph(), batches=(1, 1, 3))
    assert kept.read_bytes() == b"timed "


def test_a_timing_cache_of_another_device_is_left(new, graph):
    with pytest.warns(UserWarning, match="another device's"):
        product = build(
            new,
            BuildRequest(
                GraphFile(graph()).load(), EngineOptions(), timing=b"another's"
            ),
        )
    assert product.timing == b"timed "
