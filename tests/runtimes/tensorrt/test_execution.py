"""Runs of an engine: memory, recorded runs, batches and errors of CUDA."""

import threading

import numpy as np
import pytest

from anomedge import runtimes
from anomedge.errors import InputError, RuntimeFailure
from tests.runtimes.fake_tensorrt import expected
from tests.runtimes.tensorrt.frames import check, frames


def test_memory_is_allocated_once_for_the_largest_batch(new, machine, graph):
    with runtimes.open(graph(), runtime="trt", batches=(1, 2, 5)) as session:
        before = list(machine.cuda.calls)
        for count in (5, 1, 2):
            session.run({"frames": frames(count)})
        after = machine.cuda.calls[len(before) :]
        assert not {
            "cudaMalloc",
            "cudaMallocHost",
            "cudaStreamCreateWithFlags",
        } & set(after)
        assert sorted(
            held.size for held in machine.cuda.memory["device"].values()
        ) == [5 * 4, 5 * 6 * 4, 5 * 72]
        assert len(machine.cuda.memory["host"]) == 3


def test_a_recorded_run_is_recorded_again_when_the_shape_changes(
    new, machine, graph
):
    with runtimes.open(graph(), runtime="trt", cuda_graph=True) as session:
        for count in (2, 2, 3, 3, 3, 2):
            images = frames(count)
            check(session.run({"frames": images}), images)
        assert machine.cuda.calls.count("cudaStreamBeginCapture") == 3
        assert machine.cuda.calls.count("cudaGraphLaunch") == 6


def test_a_batch_that_the_engine_was_not_built_for(new, graph):
    with runtimes.open(graph(), runtime="trt", batches=(2, 2, 4)) as session:
        for count in (1, 5):
            with pytest.raises(
                InputError,
                match=rf"got a batch of {count}; this engine takes 2 to 4.*--batch",
            ):
                session.run({"frames": frames(count)})
        images = frames(4)
        check(session.run({"frames": images}), images)


def test_a_fixed_batch_has_no_profile(trt, graph):
    path = graph(
        inputs={"frames": ["UINT8", [2, 4, 6, 3]]},
        outputs={
            "score": ["FLOAT", [2]],
            "anomaly_map": ["FLOAT", [2, 1, 2, 3]],
        },
    )
    with runtimes.open(path, runtime="trt") as session:
        assert trt.config._profiles == []
        images = frames(2)
        check(session.run({"frames": images}), images)
        with pytest.raises(InputError, match="expected uint8"):
            session.run({"frames": frames(3)})


def test_threads_share_a_session(new, graph):
    wrong = []
    with runtimes.open(graph(), runtime="trt") as session:

        def work(seed):
            images = np.random.default_rng(seed).integers(
                0, 256, (1 + seed % 3, 4, 6, 3), dtype=np.uint8
            )
            for _ in range(30):
                if not np.allclose(
                    session.run({"frames": images})["score"],
                    expected(images, (len(images),)),
                ):
                    wrong.append(seed)

        threads = [
            threading.Thread(target=work, args=(seed,)) for seed in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


def test_results_outlive_the_next_run_and_the_session(new, graph):
    images = frames(2)
    with runtimes.open(graph(), runtime="trt") as session:
        first = session.run({"frames": images})
        session.run({"frames": 255 - images})
    check(first, images)
    session.close()


@pytest.mark.parametrize("cuda_graph", [False, True])
def test_a_run_that_fails_is_told_and_freed(new, machine, graph, cuda_graph):
    session = runtimes.open(
        graph(fails=True), runtime="trt", cuda_graph=cuda_graph
    )
    with pytest.raises(
        RuntimeFailure,
        match=r"could not run model\.onnx: the engine did not run: .*enqueueV3",
    ) as failure:
        session.run({"frames": frames(1)})
    assert failure.value.__cause__ is not None
    session.close()
    assert machine.cuda.left() == []


@pytest.mark.parametrize(
    "verb",
    [
        "cudaMemcpyAsync",
        "cudaStreamSynchronize",
        "cudaStreamEndCapture",
        "cudaGraphLaunch",
    ],
)
def test_a_session_goes_on_after_an_error_of_cuda(new, machine, graph, verb):
    recorded = verb in {"cudaStreamEndCapture", "cudaGraphLaunch"}
    with runtimes.open(graph(), runtime="trt", cuda_graph=recorded) as session:
        images = frames(2)
        machine.cuda.fail = {verb}
        with pytest.raises(RuntimeFailure, match=verb):
            session.run({"frames": images})
        machine.cuda.fail, machine.cuda.capturing = set(), None
        check(session.run({"frames": images}), images)
