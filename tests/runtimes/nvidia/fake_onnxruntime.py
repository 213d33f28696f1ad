"""A machine with GPUs for ONNX Runtime, without any: the real package computes, a stand-in plays the providers.

The stand-in knows what `onnxruntime` knows and nothing else: each of its methods must exist in the real package with the
same arguments, session options are the real class, and an option that the real provider does not know raises. The names
of the options are those in the libraries of onnxruntime-gpu 1.31.1, `libonnxruntime_providers_cuda.so` and
`libonnxruntime_providers_tensorrt.so`, and on onnxruntime.ai/docs/execution-providers.
"""

# The stand-in's arguments are the real ones, whether it looks at them or not.
# ruff: noqa: ARG002

import json
import threading
import types
from pathlib import Path

import onnxruntime as real

from anomedge import runtimes

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
        ort_gpu, listed = (
            FakeSession.ort_gpu,
            [p if isinstance(p, tuple) else (p, {}) for p in providers],
        )
        for name, told in listed:
            assert name in ort_gpu.listed
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
            ort_gpu.log,
            ort_gpu.place,
            threading.Lock(),
        )
        self.alone = any(
            told.get("enable_cuda_graph") == "1" for _, told in listed
        )
        if listed[0][0] != CPU:
            ort_gpu.told.append(listed)
            assert kwargs == {"enable_fallback": 0}
            if ort_gpu.broken:
                raise RuntimeError(ort_gpu.broken)
        working = [
            (name, told)
            for name, told in listed
            if name in {*ort_gpu.working, CPU}
        ]
        self.options = {
            name: told | ort_gpu.overridden for name, told in working
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


def opened(bundle, device="cuda", **options):
    return runtimes.open(
        bundle, runtime="onnxruntime", device=device, **options
    )
