"""ONNX Runtime on a GPU, where there is none: the real package computes, a stand-in plays the providers.

The stand-in knows what `onnxruntime` knows and nothing else: each of its methods must exist in the real package with the
same arguments, session options are the real class, and an option that the real provider does not know raises. The names
of the options are those in the libraries of onnxruntime-gpu 1.31.1, `libonnxruntime_providers_cuda.so` and
`libonnxruntime_providers_tensorrt.so`, and on onnxruntime.ai/docs/execution-providers.
"""

# The stand-in's arguments are the real ones, whether it looks at them or not.
# ruff: noqa: ARG002

import inspect
import json
import os
import shutil
import sys
import threading
import types
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as real
import pytest

from anomedge import runtimes
from anomedge.bundle import Bundle
from anomedge.commands._exit_codes import run_to_exit_code
from anomedge.errors import DeviceMismatch, InputError, RuntimeFailure
from anomedge.images import list_pictures, read_picture
from anomedge.parity.certificate import TOLERANCES
from anomedge.parity.plan import Plan
from anomedge.runtimes.nvidia import tf32
from anomedge.runtimes.nvidia.bindings import Bindings
from anomedge.runtimes.nvidia.placement import read_placement
from anomedge.verification import certify, plan_of
from tests.conftest import FRAME

CPU, CUDA, TENSORRT = (
    "CPUExecutionProvider",
    "CUDAExecutionProvider",
    "TensorrtExecutionProvider",
)
OPTIONS = {
    CUDA: {
        "device_id", "has_user_compute_stream", "user_compute_stream", "gpu_mem_limit", "arena_extend_strategy",
        "gpu_external_alloc", "gpu_external_free", "gpu_external_empty_cache", "cudnn_conv_algo_search",
        "cudnn_conv_use_max_workspace", "cudnn_conv1d_pad_to_nc1d", "do_copy_in_default_stream", "enable_cuda_graph",
        "enable_skip_layer_norm_strict_mode", "use_tf32", "prefer_nhwc", "fuse_conv_bias", "use_ep_level_unified_stream",
        "tunable_op_enable", "tunable_op_tuning_enable", "tunable_op_max_tuning_duration_ms", "sdpa_kernel",
    },
    TENSORRT: {
        "device_id", "has_user_compute_stream", "user_compute_stream", "trt_auxiliary_streams", "trt_bf16_enable",
        "trt_build_heuristics_enable", "trt_builder_optimization_level", "trt_context_memory_sharing_enable",
        "trt_cuda_graph_enable", "trt_detailed_build_log", "trt_dla_core", "trt_dla_enable", "trt_dump_ep_context_model",
        "trt_dump_subgraphs", "trt_engine_cache_enable", "trt_engine_cache_path", "trt_engine_cache_prefix",
        "trt_engine_decryption_enable", "trt_engine_decryption_lib_path", "trt_engine_hw_compatible",
        "trt_ep_context_embed_mode", "trt_ep_context_file_path", "trt_extra_plugin_lib_paths",
        "trt_force_sequential_engine_build", "trt_force_timing_cache", "trt_fp16_enable",
        "trt_int8_calibration_table_name", "trt_int8_enable", "trt_int8_use_native_calibration_table",
        "trt_layer_norm_fp32_fallback", "trt_max_partition_iterations", "trt_max_workspace_size", "trt_min_subgraph_size",
        "trt_onnx_model_folder_path", "trt_op_types_to_exclude", "trt_preview_features", "trt_profile_max_shapes",
        "trt_profile_min_shapes", "trt_profile_opt_shapes", "trt_sparsity_enable", "trt_tactic_sources",
        "trt_timing_cache_enable", "trt_timing_cache_path", "trt_weight_stripped_engine_enable",
    },
}  # fmt: skip


class FakeValue:
    """`OrtValue`: a buffer that says on which device it was asked for."""

    def __init__(self, value, log, place):
        self.value, self.log, self.place = value, log, place

    def update_inplace(self, data):
        assert data.flags.c_contiguous
        self.log.append(("update", self.place, data.shape))
        self.value.update_inplace(data)


class FakeBinding:
    """`IOBinding`: refuses what is not on the session's device."""

    def __init__(self, binding, log):
        self.binding, self.log, self.recorded = binding, log, []

    def bind_ortvalue_input(self, name, ortvalue):
        self.log.append(("input", name, ortvalue.place))
        self.binding.bind_ortvalue_input(name, ortvalue.value)

    def bind_ortvalue_output(self, name, ortvalue):
        self.log.append(("recorded output", name, ortvalue.place))
        self.binding.bind_ortvalue_output(name, ortvalue.value)

    def bind_output(
        self,
        name,
        device_type="cpu",
        device_id=0,
        element_type=None,
        shape=None,
        buffer_ptr=None,
    ):
        assert device_type == "cuda"
        self.log.append(("output", name, (device_type, device_id)))
        self.binding.bind_output(name, "cpu", 0)

    def copy_outputs_to_cpu(self):
        self.log.append(("fetch",))
        return self.binding.copy_outputs_to_cpu()


class FakeSession:
    """`InferenceSession`: the real one computes on the CPU, and its profile is told who ran what."""

    def __init__(
        self,
        path_or_bytes,
        sess_options=None,
        providers=None,
        provider_options=None,
        **kwargs,
    ):
        assert kwargs.keys() <= {"enable_fallback"}
        machine, listed = (
            FakeSession.machine,
            [p if isinstance(p, tuple) else (p, {}) for p in providers],
        )
        for name, told in listed:
            assert name in machine.listed
            unknown = set(told) - OPTIONS.get(name, set())
            assert not unknown, f"{name} does not know {unknown}"
            for key, value in told.items():
                assert isinstance(value, str)
                assert (
                    name == CUDA
                    or not key.endswith("_enable")
                    or value in {"True", "False"}
                ), key
        self.log, self.place, self.busy = (
            machine.log,
            machine.place,
            threading.Lock(),
        )
        self.alone = any(
            told.get("enable_cuda_graph") == "1" for _, told in listed
        )
        if listed[0][0] != CPU:
            machine.told.append(listed)
            assert kwargs == {"enable_fallback": 0}
            if machine.broken:
                raise RuntimeError(machine.broken)
        working = [
            (name, told)
            for name, told in listed
            if name in {*machine.working, CPU}
        ]
        self.options = {
            name: told | machine.overridden for name, told in working
        }
        self.names = [
            *self.options,
            *([CPU] if CPU not in self.options else []),
        ]
        self.session = real.InferenceSession(
            path_or_bytes, sess_options, providers=[CPU]
        )

    def get_providers(self):
        return self.names

    def get_provider_options(self):
        return self.options

    def get_inputs(self):
        return self.session.get_inputs()

    def get_outputs(self):
        return self.session.get_outputs()

    def disable_fallback(self):
        self.log.append(("no fallback",))

    def run(self, output_names, input_feed, run_options=None):
        assert self.names == [CPU], "arrays are bound on a GPU"
        return self.session.run(output_names, input_feed)

    def io_binding(self):
        return FakeBinding(self.session.io_binding(), self.log)

    def run_with_iobinding(self, iobinding, run_options=None):
        assert self.busy.acquire(blocking=False) or not self.alone, (
            "two threads in one CUDA graph"
        )
        self.log.append(("run",))
        self.session.run_with_iobinding(iobinding.binding)
        if self.busy.locked():
            self.busy.release()

    def end_profiling(self):
        path = Path(self.session.end_profiling())
        events = json.loads(path.read_text())
        for event in events:
            if event.get("cat") == "Node":
                arguments = event["args"]
                placed = (
                    self.place(arguments["op_name"], arguments)
                    if self.place
                    else self.names[0]
                )
                arguments["provider"] = placed
        path.write_text(json.dumps(events))
        return str(path)


class Machine:
    """What the stand-in's machine has, and what was asked of it."""

    def __init__(self):
        self.listed, self.working = [TENSORRT, CUDA, CPU], [TENSORRT, CUDA]
        self.log, self.told, self.overridden, self.broken = [], [], {}, ""
        self.place = None

    def value(
        self,
        shape,
        element_type,
        device_type="cpu",
        device_id=0,
        vendor_id=-1,
        memory_info=None,
    ):
        assert device_type == "cuda"
        made = real.OrtValue.ortvalue_from_shape_and_type(shape, element_type)
        return FakeValue(made, self.log, (device_type, device_id))

    def preload_dlls(self, cuda=True, cudnn=True, msvc=True, directory=None):
        self.log.append(("preload",))
        print("Failed to load libcublasLt.so.13")

    def module(self):
        fake = types.ModuleType("onnxruntime")
        fake.__spec__, fake.__version__ = real.__spec__, real.__version__
        fake.SessionOptions, fake.GraphOptimizationLevel = (
            real.SessionOptions,
            real.GraphOptimizationLevel,
        )
        fake.InferenceSession, fake.preload_dlls = (
            FakeSession,
            self.preload_dlls,
        )
        fake.OrtValue = types.SimpleNamespace(
            ortvalue_from_shape_and_type=self.value
        )
        fake.get_available_providers = lambda: list(self.listed)
        return fake


@pytest.fixture
def machine(monkeypatch):
    made = Machine()
    monkeypatch.setattr(FakeSession, "machine", made, raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", made.module())
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "")
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE")
    monkeypatch.setattr(tf32, "_setting_in_use", [])
    return made


@pytest.fixture
def padim(bundle_paths, tmp_path) -> Bundle:
    return Bundle.open(
        shutil.copytree(bundle_paths["padim"], tmp_path / "part.anomedge")
    )


@pytest.fixture
def frames(pictures):
    return np.stack(
        [read_picture(path) for path in list_pictures(pictures / "test")[:3]]
    )


def opened(bundle, device="cuda", **options):
    return runtimes.open(
        bundle, runtime="onnxruntime", device=device, **options
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


def test_cuda_is_told_what_was_asked_and_nothing_else(machine, padim):
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
    assert machine.told == [
        [(CUDA, told)],
        [(CUDA, told | {"device_id": "1", "use_tf32": "1"})],
    ]
    assert not list(padim.path.parent.glob("*.engines"))


def test_tensorrt_is_told_what_was_asked_and_nothing_else(
    machine, padim, tmp_path
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
    ((first, told), (second, cuda)) = machine.told[0]
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
        assert machine.told[-1][0][1]["trt_engine_hw_compatible"] == "True"


def test_results_are_the_graphs_and_outlive_the_next_run(
    machine, bundle, frames
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


def test_buffers_stay_while_shapes_do(machine, padim, frames):
    with opened(padim) as session:
        assert ("preload",) in machine.log and ("no fallback",) in machine.log
        machine.log.clear()
        session.run({"frames": frames})
        place = ("cuda", 0)
        bound = [
            ("input", "frames", place),
            ("output", "score", place),
            ("output", "anomaly_map", place),
        ]
        calls = [("update", place, frames.shape), ("run",), ("fetch",)]
        assert machine.log == [*bound, *calls]
        session.run({"frames": frames})
        assert machine.log == [*bound, *calls, *calls]
        machine.log.clear()
        session.run({"frames": frames[:1]})
        assert machine.log[: len(bound)] == bound


def test_threads_have_buffers_of_their_own(machine, padim, frames):
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


def test_a_silent_fallback_is_refused(machine, padim):
    machine.working = []
    with pytest.raises(
        DeviceMismatch,
        match=r"asked for 'cuda' .* runs on 'CPUExecutionProvider'",
    ):
        opened(padim)
    machine.working = [CUDA]
    with pytest.raises(DeviceMismatch, match="asked for 'tensorrt'"):
        opened(padim, "tensorrt")
    assert not list(padim.path.parent.glob("*.engines")), (
        "a folder was left behind"
    )
    machine.listed = [CPU]
    with pytest.raises(
        DeviceMismatch, match="this build has: CPUExecutionProvider"
    ):
        opened(padim)


def test_a_provider_that_fails_says_why(machine, padim):
    machine.broken = "Please install TensorRT libraries"
    with pytest.raises(
        RuntimeFailure, match="Please install TensorRT libraries"
    ):
        opened(padim, "tensorrt")
    assert not list(padim.path.parent.glob("*.engines"))


def test_another_gpu_than_asked_for_is_refused(machine, padim):
    machine.overridden = {"device_id": "0"}
    with pytest.raises(
        DeviceMismatch, match="asked for 'cuda:1', but it runs on GPU 0"
    ):
        opened(padim, "cuda:1")
    for wrong in ("cuda:", "cuda:x", "cpu:1"):
        with pytest.raises(DeviceMismatch, match="got device"):
            opened(padim, wrong)


def test_work_that_was_left_to_the_cpu_is_refused(machine, padim):
    machine.place = lambda operator, arguments: (
        CPU if operator == "Conv" else CUDA
    )
    with pytest.raises(
        DeviceMismatch,
        match=r"nodes run on the CPU: Conv .* more; expected all on the GPU",
    ):
        opened(padim)
    machine.place = lambda operator, arguments: CPU
    with pytest.raises(
        DeviceMismatch, match=rf"no node ran \(\d+ under {CPU}\)"
    ):
        opened(padim)
    machine.place = lambda operator, arguments: CUDA
    with pytest.raises(
        DeviceMismatch, match=rf"asked for {TENSORRT}, under which no node ran"
    ):
        opened(padim, "tensorrt")


def test_arithmetic_on_shapes_may_stay_on_the_cpu(machine, padim):
    small = []

    def place(operator, arguments):
        keys = ("output_size", "activation_size", "parameter_size")
        if max(int(arguments[key]) for key in keys) > 64:
            return CUDA
        small.append(operator)
        return CPU

    machine.place = place
    with opened(padim) as session:
        assert small
        assert session.placement.nodes[CPU] == len(small)
        assert session.placement.on_cpu == ()


def test_a_profile_of_the_real_package_is_understood(padim, frames, tmp_path):
    settings = real.SessionOptions()
    settings.enable_profiling, settings.profile_file_prefix = (
        True,
        str(tmp_path / "profile"),
    )
    session = real.InferenceSession(
        padim.file("model.onnx"), settings, providers=[CPU]
    )
    session.run(None, {"frames": frames})
    placement = read_placement(Path(session.end_profiling()))
    assert placement.nodes.keys() == {CPU}
    assert len(placement.on_cpu) > 10
    assert any(node.startswith("Conv ") for node in placement.on_cpu)


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


def test_tf32_is_a_matter_of_the_process_under_tensorrt(
    machine, padim, monkeypatch
):
    with opened(padim, "tensorrt"):
        assert os.environ["NVIDIA_TF32_OVERRIDE"] == "0"
    with opened(padim, "tensorrt"), opened(padim, "cuda"):
        pass
    for device in ("tensorrt", "cuda"):
        with pytest.raises(
            InputError, match=r"NVIDIA_TF32_OVERRIDE=0 forbids it"
        ):
            opened(padim, device, precision="tf32")
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE")
    with pytest.raises(InputError, match="once per process"):
        opened(padim, "tensorrt", precision="tf32")
    monkeypatch.setattr(tf32, "_setting_in_use", [])
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    with pytest.raises(InputError, match="expected it unset or 0"):
        opened(padim, "tensorrt")
    with (
        opened(padim, "tensorrt", precision="tf32"),
        opened(padim, "cuda", precision="tf32"),
        opened(padim),
    ):
        assert [told[-1][1]["use_tf32"] for told in machine.told[-3:]] == [
            "1",
            "1",
            "0",
        ]


def test_engines_lie_beside_the_bundle_in_a_folder_for_each_graph_and_setting(
    machine, padim, bundle_paths, monkeypatch
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


def test_engines_that_cannot_be_kept_are_said(machine, padim, tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.warns(UserWarning, match="cannot be kept"),
        opened(padim, "tensorrt", cache=tmp_path / "file"),
    ):
        assert "trt_engine_cache_enable" not in machine.told[0][0][1]


def of_batch(count, source, target):
    """The same graph for one size of batch."""
    model = onnx.load(source)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = count
    onnx.save(model, target)
    return target


def test_a_cuda_graph_wants_fixed_shapes_and_one_thread_at_a_time(
    machine, padim, frames, tmp_path
):
    with pytest.raises(InputError, match="fixed shapes: export with --batch"):
        opened(padim, cuda_graph=True)
    fixed = of_batch(2, padim.file("model.onnx"), tmp_path / "fixed.onnx")
    with opened(fixed, cuda_graph=True) as session:
        assert machine.told[-1][0][1]["enable_cuda_graph"] == "1"
        assert [
            entry[1] for entry in machine.log if entry[0] == "recorded output"
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
        assert sum(entry[0] == "input" for entry in machine.log) == 1
    with opened(fixed, "tensorrt", cuda_graph=True):
        told = machine.told[-1][0][1]
        assert (
            told["trt_cuda_graph_enable"] == "True"
            and "trt_profile_min_shapes" not in told
        )


def test_what_preloading_prints_stays_off_standard_output(
    machine, padim, capsys
):
    with opened(padim):
        assert capsys.readouterr().out == ""


def test_tf32_is_proven_to_a_tolerance_of_its_own(machine, padim):
    plan = plan_of(padim, ["ort"], [1, 3], precision="tf32", device="cuda")
    certificate = certify(padim, plan)
    assert certificate.passed, certificate.failures
    assert certificate.tolerances == {"tf32": TOLERANCES["tf32"]}
    assert {
        (cell.precision, cell.running_on) for cell in certificate.cells
    } == {("tf32", CUDA)}
    assert {check.precision for check in certificate.checks} == {"tf32"}
    assert {told[0][1]["use_tf32"] for told in machine.told} == {"1"}


def test_engines_are_built_for_the_batches_of_a_plan(machine, padim):
    with Plan(["ort"], [8, 32], device="tensorrt").open(padim, "ort"):
        shapes = [
            machine.told[0][0][1][f"trt_profile_{which}_shapes"][:9]
            for which in ("min", "opt", "max")
        ]
    assert shapes == ["frames:1x", "frames:1x", "frames:32"]


def test_a_cpu_has_no_tf32(padim, runtime):
    with pytest.raises(InputError, match=r"got precision tf32.* mode of"):
        runtimes.open(padim, runtime=runtime, precision="tf32")
    with pytest.raises(InputError, match=r"got precision tf32.* mode of"):
        certify(padim, plan_of(padim, [runtime], precision="tf32"))


def test_the_command_refuses_tf32_on_a_cpu_in_one_line(padim, capsys):
    from anomedge.__main__ import application

    command = lambda arguments: application()(arguments, standalone_mode=False)  # noqa: E731
    asked = [
        "verify",
        str(padim.path),
        "--runtime",
        "ort",
        "--precision",
        "tf32",
    ]
    assert run_to_exit_code(command, asked) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: got precision tf32 on CPUExecutionProvider")


def test_a_bundle_of_before_tf32_is_held_to_this_releases_tolerance(
    machine, padim
):
    manifest = padim.manifest.model_copy(
        update={"tolerances": {"fp32": padim.manifest.tolerances["fp32"]}}
    )
    older = Bundle(padim.path, manifest)
    certificate = certify(
        older, plan_of(older, ["ort"], [1], precision="tf32", device="cuda")
    )
    assert certificate.passed, certificate.failures
    assert certificate.tolerances == {"tf32": TOLERANCES["tf32"]}
