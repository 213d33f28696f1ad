"""The adapter for TensorRT runs on every release from 8.6 to 11, held to what each one has."""

import numpy as np
import pytest

from anomedge import Inspector, runtimes
from anomedge.bundle import Bundle
from anomedge.errors import (
    BundleError,
    DeviceMismatch,
    InputError,
    RuntimeFailure,
)
from anomedge.parity import Plan
from tests.conftest import FRAME
from tests.runtimes.fake_tensorrt import expected
from tests.runtimes.tensorrt.frames import RNG, check, frames


@pytest.mark.parametrize("cuda_graph", [False, True], ids=["calls", "recorded"])
def test_every_release_builds_keeps_reloads_and_runs(
    trt, machine, graph, cuda_graph
):
    path = graph()
    for _ in range(2):
        with runtimes.open(
            path, runtime="trt", cuda_graph=cuda_graph
        ) as session:
            assert session.version == trt.__version__
            assert session.running_on == "Fake GPU (cuda:0)"
            assert str(session.inputs["frames"]) == "uint8 (any, 4, 6, 3)"
            assert session.outputs["anomaly_map"].shape == (None, 1, 2, 3)
            for count in (1, 3, 3, 8, 1):
                images = frames(count)
                check(session.run({"frames": images}), images)
        assert machine.cuda.left() == []
    assert trt.builds == 1
    assert ("cudaGraphLaunch" in machine.cuda.calls) == cuda_graph


def test_a_bundle_keeps_its_contract(trt, bundle, monkeypatch):
    with runtimes.open(bundle, runtime="tensorrt") as session:
        images = RNG.integers(0, 256, (2, *FRAME, 3), dtype=np.uint8)
        np.testing.assert_allclose(
            session.run({"frames": images})["score"],
            expected(images, (2,)),
            rtol=1e-6,
        )
    wrong = bundle.manifest.input.model_copy(update={"width": 99})
    manifest = bundle.manifest.model_copy(update={"input": wrong})
    with pytest.raises(BundleError, match="its manifest says"):
        runtimes.open(type(bundle)(bundle.path, manifest), runtime="tensorrt")


def test_an_inspector_gives_an_engine_no_more_than_it_takes(
    new, bundle_paths, machine, tmp_path
):
    images = RNG.integers(0, 256, (11, *FRAME, 3), dtype=np.uint8)
    with Inspector.open(
        bundle_paths["padim"], runtime="trt", batches=(1, 1, 4), cache=tmp_path
    ) as inspector:
        scores = [result.score for result in inspector.predict(images)]
        assert machine.cuda.calls.count("cudaStreamSynchronize") == 3
    np.testing.assert_allclose(scores, expected(images, (11,)), rtol=1e-6)


def test_a_plan_of_large_batches_has_an_engine_for_them(
    new, bundle_paths, tmp_path
):
    bundle = Bundle.open(bundle_paths["patchcore"])
    for batches, largest, builds in (
        ([1, 2], 8, 1),
        ([1, 32], 32, 2),
        ([3, 8], 8, 2),
        ([9], 32, 2),
    ):
        with Plan(["tensorrt"], batches).open(
            bundle, "tensorrt", cache=tmp_path
        ) as session:
            assert (session.largest, new.builds) == (largest, builds)


def test_the_device_is_chosen_and_asserted(new, machine, graph):
    machine.gpus("First", "Second")
    path = graph()
    for device, name in (
        (None, "First (cuda:0)"),
        ("gpu", "First (cuda:0)"),
        ("cuda:1", "Second (cuda:1)"),
    ):
        with runtimes.open(path, runtime="trt", device=device) as session:
            assert session.running_on == name
            session.run({"frames": frames(1)})
            assert set(machine.cuda.chosen.values()) == {int(name[-2])}
        machine.cuda.chosen.clear()
    for device in ("cpu", "npu", "cuda:2", "CPUExecutionProvider"):
        with pytest.raises(DeviceMismatch, match="got device"):
            runtimes.open(path, runtime="trt", device=device)
    machine.cuda.names = ("Another", "Second")
    with pytest.raises(DeviceMismatch, match=r"runs on 'Another \(cuda:0\)'"):
        runtimes.open(path, runtime="trt")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {
                "errors": [
                    "In node 3 (importResize): UNSUPPORTED_NODE: antialias"
                ]
            },
            "In node 3 .importResize.*antialias",
        ),
        (
            {
                "unbuildable": True,
                "build_says": [["ERROR", "Could not find any implementation"]],
            },
            "any implementation",
        ),
        (
            {"unbuildable": True},
            "no engine could be built of model.onnx: it gave no reason",
        ),
        ({"no_context": True}, "no room for the engine's activations"),
        (
            {"inputs": {"frames": ["UINT8", [-1, -1, 6, 3]]}},
            "expected that of its batch only",
        ),
        ({"outputs": {"score": ["BF16", [-1]]}}, "'score' is of type BF16"),
    ],
)
def test_what_fails_while_opening_leaves_nothing(
    new, machine, graph, changes, said
):
    with pytest.raises((RuntimeFailure, InputError), match=said):
        runtimes.open(graph(**changes), runtime="trt")
    assert machine.cuda.left() == []


@pytest.mark.parametrize(
    "verb",
    [
        "cudaMalloc",
        "cudaMallocHost",
        "cudaStreamCreateWithFlags",
        "cudaSetDevice",
    ],
)
def test_an_error_of_cuda_is_named_and_leaves_nothing(
    new, machine, graph, verb
):
    machine.cuda.fail = {verb}
    with pytest.raises(
        RuntimeFailure, match=rf"{verb}: cudaErrorMemoryAllocation \(2\)"
    ):
        runtimes.open(graph(), runtime="trt")
    machine.cuda.fail = set()
    assert machine.cuda.left() == []


def test_closing_goes_on_past_an_error(new, machine, graph):
    session = runtimes.open(graph(), runtime="trt")
    machine.cuda.fail = {"cudaStreamSynchronize"}
    with pytest.raises(RuntimeFailure, match="cudaStreamSynchronize"):
        session.close()
    machine.cuda.fail = set()
    assert machine.cuda.left() == []


def test_an_attribute_that_the_release_lacks_fails(machine, graph):
    trt = machine.install("11.4.0")
    trt.surface["classes"]["IExecutionContext"].remove("execute_async_v3")
    session = runtimes.open(graph(), runtime="trt")
    with pytest.raises(
        RuntimeFailure,
        match=r"IExecutionContext of 11\.4\.0\.106 has no execute_async_v3",
    ):
        session.run({"frames": frames(1)})
    session.close()
    for removed in (trt.BuilderFlag, trt.DataType):
        assert not hasattr(removed, "FP16")
    with pytest.raises(AttributeError, match="has no max_workspace_size"):
        trt.config.max_workspace_size = 1
