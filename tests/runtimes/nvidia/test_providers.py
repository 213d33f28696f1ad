"""The providers of ONNX Runtime on a GPU: options that they are told, and devices that they refuse."""

import inspect
import shutil

import onnxruntime as real
import pytest

from anomedge.bundle import Bundle
from anomedge.errors import DeviceMismatch, InputError, RuntimeFailure
from anomedge.parity.plan import Plan
from anomedge.runtimes.nvidia import tf32
from tests.conftest import FRAME
from tests.runtimes.nvidia.fake_onnxruntime import (
    CPU,
    CUDA,
    TENSORRT,
    FakeBinding,
    FakeSession,
    FakeValue,
    Machine,
    opened,
)


@pytest.mark.parametrize(
    ("fake", "counterpart"),
    [
        (FakeSession, real.InferenceSession),
        (FakeBinding, real.IOBinding),
        (FakeValue, real.OrtValue),
    ],
)
def test_the_stand_in_knows_only_what_the_real_one_knows(fake, counterpart):
    for name, method in inspect.getmembers(fake, inspect.isfunction):
        if name != "__init__" or fake is FakeSession:
            theirs = inspect.signature(getattr(counterpart, name)).parameters
            assert list(inspect.signature(method).parameters) == list(theirs), (
                name
            )
    theirs = inspect.signature(
        real.OrtValue.ortvalue_from_shape_and_type
    ).parameters
    assert list(inspect.signature(Machine().value).parameters) == list(theirs)
    assert list(inspect.signature(Machine().preload_dlls).parameters) == list(
        inspect.signature(real.preload_dlls).parameters
    )


def test_cuda_is_told_what_was_asked_and_nothing_else(ort_gpu, padim):
    told = {
        "device_id": "0",
        "use_tf32": "0",
        "cudnn_conv_algo_search": "HEURISTIC",
    }
    with opened(padim) as session:
        assert session.running_on == CUDA
        assert session.placement.nodes.keys() == {CUDA}
    with opened(padim, "cuda:1", precision="tf32") as session:
        assert session.running_on == f"{CUDA}:1"
    assert ort_gpu.told == [
        [(CUDA, told)],
        [(CUDA, told | {"device_id": "1", "use_tf32": "1"})],
    ]
    assert not list(padim.path.parent.glob("*.engines"))


def test_tensorrt_is_told_what_was_asked_and_nothing_else(
    ort_gpu, padim, tmp_path
):
    with opened(
        padim,
        "tensorrt:2",
        cache=tmp_path / "engines",
        batches=(1, 4, 32),
        workspace=1 << 30,
    ) as session:
        assert session.running_on == f"{TENSORRT}:2"
        assert session.largest == 32, (
            "or an Inspector would give it more than its profile takes"
        )
    ((first, told), (second, cuda)) = ort_gpu.told[0]
    assert (first, second, cuda["use_tf32"]) == (TENSORRT, CUDA, "0")
    (folder,) = (tmp_path / "engines").iterdir()
    assert told == {
        "device_id": "2",
        "trt_profile_min_shapes": f"frames:1x{FRAME[0]}x{FRAME[1]}x3",
        "trt_profile_opt_shapes": f"frames:4x{FRAME[0]}x{FRAME[1]}x3",
        "trt_profile_max_shapes": f"frames:32x{FRAME[0]}x{FRAME[1]}x3",
        "trt_max_workspace_size": "1073741824",
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": str(folder),
    }
    for option, takers in (
        ({"version_compatible": True}, "tensorrt, tensorrt-rtx"),
        ({"dla": 0}, "tensorrt$"),
    ):
        with pytest.raises(InputError, match=f"takes no option.*: {takers}"):
            opened(padim, "tensorrt", **option)
    for option in (
        {"workspace": 1 << 30},
        {"cache": tmp_path},
        {"hardware_compatible": True},
    ):
        with pytest.raises(InputError, match="ask for the device tensorrt"):
            opened(padim, "cuda", **option)
        with pytest.raises(InputError, match="on CPUExecutionProvider"):
            opened(padim, "cpu", **option)
    with opened(padim, "tensorrt", hardware_compatible=True):
        assert ort_gpu.told[-1][0][1]["trt_engine_hw_compatible"] == "True"


def test_a_silent_fallback_is_refused(ort_gpu, padim):
    ort_gpu.working = []
    with pytest.raises(
        DeviceMismatch,
        match=r"asked for 'cuda' .* runs on 'CPUExecutionProvider'",
    ):
        opened(padim)
    ort_gpu.working = [CUDA]
    with pytest.raises(DeviceMismatch, match="asked for 'tensorrt'"):
        opened(padim, "tensorrt")
    assert not list(padim.path.parent.glob("*.engines")), (
        "a folder was left behind"
    )
    ort_gpu.listed = [CPU]
    with pytest.raises(
        DeviceMismatch, match="this build has: CPUExecutionProvider"
    ):
        opened(padim)


def test_a_provider_that_fails_says_why(ort_gpu, padim):
    ort_gpu.broken = "Please install TensorRT libraries"
    with pytest.raises(
        RuntimeFailure, match="Please install TensorRT libraries"
    ):
        opened(padim, "tensorrt")
    assert not list(padim.path.parent.glob("*.engines"))


def test_another_gpu_than_asked_for_is_refused(ort_gpu, padim):
    ort_gpu.overridden = {"device_id": "0"}
    with pytest.raises(
        DeviceMismatch, match="asked for 'cuda:1', but it runs on GPU 0"
    ):
        opened(padim, "cuda:1")
    for wrong in ("cuda:", "cuda:x", "cpu:1"):
        with pytest.raises(DeviceMismatch, match="got device"):
            opened(padim, wrong)


def test_engines_lie_beside_the_bundle_in_a_folder_for_each_graph_and_setting(
    ort_gpu, padim, bundle_paths, monkeypatch
):
    with opened(padim, "tensorrt"):
        pass
    kept = padim.path.with_name("part.anomedge.engines")
    (first,) = kept.iterdir()
    (first / "engine").touch()
    Bundle.open(padim.path)  # nothing in it that its manifest does not list
    with opened(padim, "tensorrt"):
        assert list(kept.iterdir()) == [first]
    with (
        opened(padim, "tensorrt", batches=(1, 1, 16)),
        opened(padim, "tensorrt", stages=True),
    ):
        assert len(list(kept.iterdir())) == 3
    monkeypatch.setattr(tf32, "_setting_in_use", [])
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE")
    with opened(padim, "tensorrt", precision="tf32"):
        assert len(list(kept.iterdir())) == 4
    file = padim.path.parent / "alone" / "model.onnx"
    file.parent.mkdir()
    shutil.copy(padim.file("model.onnx"), file)
    with opened(file, "tensorrt", tf32=True):
        (one,) = file.with_name("model.onnx.engines").iterdir()
    shutil.copy(bundle_paths["patchcore"] / "model.onnx", file)
    with opened(file, "tensorrt", tf32=True):
        assert len({one, *one.parent.iterdir()}) == 2


def test_engines_that_cannot_be_kept_are_said(ort_gpu, padim, tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.warns(UserWarning, match="cannot be kept"),
        opened(padim, "tensorrt", cache=tmp_path / "file"),
    ):
        assert "trt_engine_cache_enable" not in ort_gpu.told[0][0][1]


def test_what_preloading_prints_stays_off_standard_output(
    ort_gpu, padim, capsys
):
    with opened(padim):
        assert capsys.readouterr().out == ""


def test_engines_are_built_for_the_batches_of_a_plan(ort_gpu, padim):
    with Plan(["ort"], [8, 32], device="tensorrt").open(padim, "ort"):
        shapes = [
            ort_gpu.told[0][0][1][f"trt_profile_{which}_shapes"][:9]
            for which in ("min", "opt", "max")
        ]
    assert shapes == ["frames:1x", "frames:1x", "frames:32"]
