"""Buffers on a GPU: kept while shapes stay, one set for each thread, recorded as a CUDA graph."""

import threading

import numpy as np
import onnx
import onnxruntime as real
import pytest

from anomedge import runtimes
from anomedge.errors import InputError, RuntimeFailure
from anomedge.runtimes.nvidia.bindings import Bindings
from tests.runtimes.nvidia.fake_onnxruntime import opened


def test_results_are_the_graphs_and_outlive_the_next_run(
    ort_gpu, bundle, frames
):
    with runtimes.open(bundle, runtime="ort") as session:
        expected = session.run({"frames": frames})
    with opened(bundle) as session:
        got = session.run({"frames": frames})
        other = session.run({"frames": 255 - frames})
        strided = session.run(
            {"frames": np.repeat(frames, 2, axis=2)[:, :, ::2]}
        )
    for name, values in expected.items():
        np.testing.assert_array_equal(got[name], values)
        np.testing.assert_array_equal(strided[name], values)
        assert not np.array_equal(other[name], values)


def test_buffers_stay_while_shapes_do(ort_gpu, padim, frames):
    with opened(padim) as session:
        assert ("preload",) in ort_gpu.log and ("no fallback",) in ort_gpu.log
        ort_gpu.log.clear()
        session.run({"frames": frames})
        place = ("cuda", 0)
        bound = [
            ("input", "frames", place),
            ("output", "score", place),
            ("output", "anomaly_map", place),
        ]
        calls = [("update", place, frames.shape), ("run",), ("fetch",)]
        assert ort_gpu.log == [*bound, *calls]
        session.run({"frames": frames})
        assert ort_gpu.log == [*bound, *calls, *calls]
        ort_gpu.log.clear()
        session.run({"frames": frames[:1]})
        assert ort_gpu.log[: len(bound)] == bound


def test_threads_have_buffers_of_their_own(ort_gpu, padim, frames):
    with opened(padim) as session:
        expected = [
            session.run({"frames": frame[None]})["score"] for frame in frames
        ]
        wrong = []

        def work(i):
            for count in range(20):
                chosen = frames[[i] * (1 + count % 2)]
                if not np.array_equal(
                    session.run({"frames": chosen})["score"][:1], expected[i]
                ):
                    wrong.append(i)

        threads = [
            threading.Thread(target=work, args=(i % 3,)) for i in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong


def test_bindings_drive_the_real_package(padim, frames):
    with runtimes.open(padim, runtime="ort") as session:
        bindings = Bindings(
            real, session._session, session.outputs, ("cpu", 0), recorded=False
        )
        before = frames.copy()
        for chosen in (frames, 255 - frames, frames[:1], frames[:2]):
            expected, got = (
                session.run({"frames": chosen}),
                bindings.run({"frames": chosen}),
            )
            for name, values in expected.items():
                np.testing.assert_array_equal(got[name], values)
        np.testing.assert_array_equal(frames, before)


def of_batch(count, source, target):
    """The same graph for one size of batch."""
    model = onnx.load(source)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = count
    onnx.save(model, target)
    return target


def test_a_cuda_graph_wants_fixed_shapes_and_one_thread_at_a_time(
    ort_gpu, padim, frames, tmp_path
):
    with pytest.raises(InputError, match="fixed shapes: export with --batch"):
        opened(padim, cuda_graph=True)
    fixed = of_batch(2, padim.file("model.onnx"), tmp_path / "fixed.onnx")
    with opened(fixed, cuda_graph=True) as session:
        assert ort_gpu.told[-1][0][1]["enable_cuda_graph"] == "1"
        assert [
            entry[1] for entry in ort_gpu.log if entry[0] == "recorded output"
        ] == ["score", "anomaly_map"]
        expected = [
            session.run({"frames": frames[[i, i]]})["score"] for i in range(3)
        ]
        wrong = []

        def work(i):
            for _ in range(20):
                try:
                    if not np.array_equal(
                        session.run({"frames": frames[[i, i]]})["score"],
                        expected[i],
                    ):
                        wrong.append(i)
                except RuntimeFailure as error:
                    wrong.append(str(error))

        threads = [
            threading.Thread(target=work, args=(i % 3,)) for i in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
        assert sum(entry[0] == "input" for entry in ort_gpu.log) == 1
    with opened(fixed, "tensorrt", cuda_graph=True):
        told = ort_gpu.told[-1][0][1]
        assert (
            told["trt_cuda_graph_enable"] == "True"
            and "trt_profile_min_shapes" not in told
        )
