"""Every runtime keeps the same contract."""

import subprocess
import sys
import threading

import numpy as np
import pytest

import anomedge
from anomedge import Inspector, runtimes
from anomedge.errors import (
    BundleError,
    DeviceMismatch,
    InputError,
    RuntimeFailure,
    RuntimeMissing,
)
from anomedge.images import list_pictures, read_picture
from anomedge.runtimes import vendors
from tests.conftest import FRAME, RUNTIMES


@pytest.fixture
def frames(pictures):
    return np.stack(
        [read_picture(path) for path in list_pictures(pictures / "test")[:3]]
    )


def test_named_in_full_and_in_short():
    for full, short in (("onnxruntime", "ort"), ("openvino", "ov")):
        assert (
            runtimes.get(full)
            is runtimes.get(short)
            is runtimes.get(short.upper())
        )
    with pytest.raises(
        InputError, match=r"onnxruntime \(ort\), openvino \(ov\)"
    ):
        runtimes.get("caffe")


def test_a_missing_vendor_names_the_extra(monkeypatch):
    monkeypatch.setattr(vendors.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RuntimeMissing, match=r"pip install 'anomedge\[ort\]'"):
        runtimes.get("ort")
    with pytest.raises(
        RuntimeMissing, match="no runtime is installed that runs here"
    ):
        runtimes.open("anything")


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


def test_an_openvino_that_reads_no_float16_beside_the_graph_says_which_one_does(
    tmp_path, monkeypatch
):
    path = tmp_path / "stages.fp16.onnx"
    path.write_bytes(b"as OpenVINO 2024 finds it")
    monkeypatch.setattr(runtimes.get("ov"), "version", "2024.6.0")
    with pytest.raises(
        RuntimeFailure,
        match=r"2024\.6\.0 could not read stages\.fp16\.onnx \(.*expected 2025\.0",
    ):
        runtimes.open(path, "ov", precision="fp16")
    for version, precision in (("2024.6.0", "fp32"), ("2025.0.0", "fp16")):
        monkeypatch.setattr(runtimes.get("ov"), "version", version)
        with pytest.raises(RuntimeFailure, match="could not open") as failure:
            runtimes.open(path, "ov", precision=precision)
        assert "expected 2025" not in str(failure.value)


def test_a_vendor_made_for_another_numpy_is_told_from_a_graph_that_does_not_open(
    bundle, monkeypatch
):
    def fails(session):
        raise ImportError  # all that onnxruntime 1.17 says to its caller beside numpy 2

    monkeypatch.setattr(runtimes.get("ort"), "_open", fails)
    with pytest.raises(
        RuntimeFailure,
        match=rf"does not load beside numpy {np.__version__}.*'numpy<2'",
    ):
        runtimes.open(bundle, "ort")


def test_runtimes_agree(bundle, frames):
    scores = []
    for runtime in RUNTIMES:
        with runtimes.open(bundle, runtime=runtime) as session:
            scores.append(session.run({"frames": frames})["score"])
    np.testing.assert_allclose(
        scores[0], scores[-1], atol=1e-4 * bundle.decision.scale
    )


def test_inspector_takes_frames_paths_and_batches(
    bundle, runtime, pictures, frames
):
    paths = list_pictures(pictures / "test")[:3]
    with Inspector.open(bundle.path, runtime=runtime) as inspector:
        one = inspector.predict(frames[0])
        assert inspector.predict(paths[0]).score == pytest.approx(one.score)
        assert inspector.predict(str(paths[0])).label == one.label
        many = inspector.predict(frames)
        assert [r.score for r in many] == pytest.approx(
            [r.score for r in inspector.predict(paths)]
        )
        assert one.anomaly_map.shape == one.mask.shape == (64, 72)
        assert one.milliseconds > 0
        for result in many:
            assert result.label == (
                "anomalous"
                if result.score > inspector.decision.threshold
                else "normal"
            )
            np.testing.assert_array_equal(
                result.mask,
                result.anomaly_map > inspector.decision.pixel_threshold,
            )
        for wrong in (
            [],
            frames[0, 0],
            np.zeros((8, 8, 3), np.uint8),
            [frames[0], frames[0][:8]],
        ):
            with pytest.raises(InputError, match="expected"):
                inspector.predict(wrong)


def test_a_picture_of_another_size_is_refused(bundle, tmp_path):
    from PIL import Image

    Image.fromarray(np.zeros((10, 12, 3), np.uint8)).save(tmp_path / "a.png")
    with (
        Inspector.open(bundle, runtime=RUNTIMES[0]) as inspector,
        pytest.raises(InputError, match="got 10x12; expected 96x128"),
    ):
        inspector.predict(tmp_path / "a.png")


def test_the_package_hands_on_the_inspector():
    assert anomedge.Inspector is Inspector
    with pytest.raises(AttributeError):
        _ = anomedge.nothing


def test_a_fixed_batch_inspects_any_number_of_frames(
    model_paths, frames, tmp_path
):
    from anomedge.export.bundling import ExportOptions, export

    export(
        model_paths["padim"],
        tmp_path / "b.anomedge",
        ExportOptions(frame=FRAME, batch=2, runtimes=RUNTIMES[:1]),
    )
    with Inspector.open(
        tmp_path / "b.anomedge", runtime=RUNTIMES[0]
    ) as inspector:
        many = [result.score for result in inspector.predict(frames)]
        assert many == pytest.approx(
            [inspector.predict(frame).score for frame in frames], rel=1e-6
        )


def test_a_score_that_is_not_finite_is_no_verdict(bundle, frames, monkeypatch):
    with Inspector.open(bundle, runtime=RUNTIMES[0]) as inspector:
        run = inspector.session.run
        monkeypatch.setattr(
            inspector.session,
            "run",
            lambda feed: {k: v * np.nan for k, v in run(feed).items()},
        )
        with pytest.raises(RuntimeFailure, match="not finite"):
            inspector.predict(frames)


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
