"""Every runtime keeps the same contract."""

import subprocess
import sys
import threading

import numpy as np
import pytest

from anomedge import runtimes
from anomedge.errors import (
    BundleError,
    DeviceMismatch,
    InputError,
    RuntimeFailure,
)
from tests.conftest import FRAME, RUNTIMES


def test_a_session_says_where_it_runs(bundle, runtime):
    with runtimes.open(bundle, runtime=runtime, threads=1) as session:
        assert (
            session.running_on.upper() in {"CPUEXECUTIONPROVIDER", "CPU"}
            or "(cuda:0)" in session.running_on
        )
        assert session.version
        assert (
            str(session.inputs["frames"])
            == f"uint8 (any, {FRAME[0]}, {FRAME[1]}, 3)"
        )
        assert session.outputs["anomaly_map"].shape == (None, 1, 64, 72)


def test_devices_that_are_not_there(bundle, runtime):
    on_gpus = runtime.startswith("tensorrt")
    for device in (
        "npu",
        "tensorrt",
        "nonsense",
        *(() if on_gpus else ("cuda", "gpu")),
    ):
        with pytest.raises(DeviceMismatch, match=r"got device|asked for"):
            runtimes.open(bundle, runtime=runtime, device=device)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: {"frames": x.astype(np.float32)},
        lambda x: {"frames": x[:, :-1]},
        lambda x: {"frames": x[..., :1]},
        lambda x: {"frames": x[0]},
        lambda x: {"frames": x[:0]},
        lambda x: {"frames": x.transpose(0, 3, 1, 2)},
        lambda x: {"images": x},
        lambda x: {},
        lambda x: {"frames": x, "more": x},
    ],
)
def test_wrong_input_is_refused(bundle, runtime, frames, change):
    with (
        runtimes.open(bundle, runtime=runtime) as session,
        pytest.raises(InputError, match="expected"),
    ):
        session.run(change(frames))


def test_input_is_not_written_to_and_may_be_any_view(bundle, runtime, frames):
    with runtimes.open(bundle, runtime=runtime) as session:
        before = frames.copy()
        expected = session.run({"frames": frames})
        strided = np.repeat(frames, 2, axis=2)[:, :, ::2]
        assert not strided.flags.c_contiguous
        again = session.run({"frames": strided})
        np.testing.assert_array_equal(frames, before)
        np.testing.assert_array_equal(again["score"], expected["score"])


def test_results_outlive_the_next_run(bundle, runtime, frames):
    with runtimes.open(bundle, runtime=runtime) as session:
        first = session.run({"frames": frames})
        kept = {name: value.copy() for name, value in first.items()}
        session.run({"frames": 255 - frames})
        for name, value in first.items():
            np.testing.assert_array_equal(value, kept[name])


def test_threads_share_a_session(bundle, runtime, frames):
    with runtimes.open(bundle, runtime=runtime) as session:
        expected = [
            session.run({"frames": frame[None]})["score"] for frame in frames
        ]
        wrong = []

        def work(i):
            for _ in range(20):
                if not np.array_equal(
                    session.run({"frames": frames[i][None]})["score"],
                    expected[i],
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


def test_closed_means_closed(bundle, runtime, frames):
    session = runtimes.open(bundle, runtime=runtime)
    session.close()
    session.close()
    with pytest.raises(RuntimeFailure, match="closed"):
        session.run({"frames": frames})


def test_options_are_checked(bundle):
    for wrong in ({"threads": 0}, {"hint": "fast"}, {"thread": 2}):
        with pytest.raises(InputError, match="expected"):
            runtimes.open(bundle, runtime=RUNTIMES[0], **wrong)
    with pytest.raises(BundleError, match="fp32"):
        runtimes.open(bundle, runtime=RUNTIMES[0], precision="fp16")
    with runtimes.open(
        bundle, runtime="ov", hint="throughput", threads=1
    ) as session:
        assert session.running_on == "CPU"


def test_foreign_files_fail_at_the_seam(tmp_path, runtime):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no graph")
    with pytest.raises(
        RuntimeFailure, match=r"could not open model\.onnx"
    ) as failure:
        runtimes.open(path, runtime=runtime)
    assert failure.value.__cause__ is not None


def test_runtimes_agree(bundle, frames):
    scores = []
    for runtime in RUNTIMES:
        with runtimes.open(bundle, runtime=runtime) as session:
            scores.append(session.run({"frames": frames})["score"])
    np.testing.assert_allclose(
        scores[0], scores[-1], atol=1e-4 * bundle.decision.scale
    )


SIGNALLED = """
import signal, sys
from anomedge import runtimes
first, second = (runtimes.open(sys.argv[1], runtime=sys.argv[2], threads=1) for _ in range(2))
first.close()
second.close()
heard = []
signal.signal(signal.SIGTERM, lambda *_: heard.append("TERM"))
signal.raise_signal(signal.SIGTERM)
assert heard == ["TERM"]
"""


def test_signals_arrive_after_sessions_were_closed_in_their_order(
    bundle_paths, runtime
):
    command = [
        sys.executable,
        "-c",
        SIGNALLED,
        str(bundle_paths["padim"] / "model.onnx"),
        runtime,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done
