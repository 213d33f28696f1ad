"""ONNX Runtime's providers for NVIDIA GPUs and the options that they get.

Names of options: onnxruntime.ai/docs/execution-providers, CUDA-ExecutionProvider
and TensorRT-ExecutionProvider. The TensorRT provider reads flags only as True and
False. The graph's types state the precision, so the provider's flags for half
precision, int8 and bfloat16 are never set.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import io
import json
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anomedge.bundle import MANIFEST
from anomedge.errors import InputError
from anomedge.runtimes.graph_file import GraphContent
from anomedge.runtimes.nvidia import gpus
from anomedge.runtimes.nvidia.options import GpuOptions
from anomedge.runtimes.specs import TensorSpec

__all__ = [
    "CPU",
    "CUDA",
    "TENSORRT",
    "ProviderList",
    "ProviderRequest",
    "is_built_with_cuda",
    "preload",
    "providers",
    "remove_empty_caches",
]

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"

ProviderList = list[tuple[str, dict[str, str]]]
"""Providers in order of preference, each with its options."""

_PROFILES = (
    "trt_profile_min_shapes",
    "trt_profile_opt_shapes",
    "trt_profile_max_shapes",
)
_ENGINE_OPTIONS = ("cache", "workspace", "hardware_compatible")


@dataclass(frozen=True)
class ProviderRequest:
    """The session that providers are chosen for.

    Args:
        provider: CUDA or TENSORRT.
        gpu: index of the GPU.
        graph: the graph to open.
        inputs: inputs of the graph; TensorRT builds for a range of batches if
            the first axis is free.
        options: the user's options.
        version: version of ONNX Runtime; no other release reads its engines.
    """

    provider: str
    gpu: int
    graph: GraphContent
    inputs: Mapping[str, TensorSpec]
    options: GpuOptions
    version: str


def is_built_with_cuda(package: str) -> bool:
    """Return whether an installed ONNX Runtime contains the CUDA provider; the package is not imported."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return False
    if spec is None or spec.origin is None:
        return False
    folder = Path(spec.origin).parent / "capi"
    return any(folder.glob("*onnxruntime_providers_cuda.*"))


def preload(vendor: Any, provider: str) -> None:
    """Load the libraries that pip installed beside ONNX Runtime and the system's loader does not find.

    `preload_dlls` (since 1.21) loads CUDA and cuDNN; importing `tensorrt` loads
    TensorRT. Failures are ignored: the system may have the libraries elsewhere,
    and opening the session reports those that are missing.
    """
    if hasattr(vendor, "preload_dlls"):
        # It prints the libraries that it does not find.
        with contextlib.redirect_stdout(io.StringIO()):
            vendor.preload_dlls()
    if provider == TENSORRT:
        with contextlib.suppress(ImportError, OSError):
            importlib.import_module("tensorrt")


def providers(request: ProviderRequest) -> ProviderList:
    """Return the providers of a session with their options.

    CUDA follows TensorRT and runs the nodes that TensorRT does not support.

    Raises:
        InputError: the provider does not support an option.
    """
    free = [None in spec.shape for spec in request.inputs.values()]
    if request.options.cuda_graph and any(free):
        raise InputError(
            "got cuda_graph for a graph of any batch; expected fixed shapes: "
            "export with --batch N"
        )
    cuda = {
        "device_id": str(request.gpu),
        "use_tf32": str(int(request.options.tf32)),
        # The default measures algorithms in each process and for each shape:
        # another choice has other rounding errors.
        "cudnn_conv_algo_search": "HEURISTIC",
    }
    if request.provider == TENSORRT:
        return [(TENSORRT, _tensorrt_options(request)), (CUDA, cuda)]
    _refuse_engine_options(request.options)
    if request.options.cuda_graph:
        cuda["enable_cuda_graph"] = "1"
    return [(CUDA, cuda)]


def _refuse_engine_options(options: GpuOptions) -> None:
    for name in _ENGINE_OPTIONS:
        if getattr(options, name):
            raise InputError(
                f"got {name} on {CUDA}, which builds no engines; "
                f"ask for the device tensorrt, or leave it out"
            )


def _tensorrt_options(request: ProviderRequest) -> dict[str, str]:
    options = request.options
    chosen = {"device_id": str(request.gpu)}
    chosen |= _profile(request.inputs, options)
    if options.workspace is not None:
        chosen["trt_max_workspace_size"] = str(options.workspace)
    if options.cuda_graph:
        chosen["trt_cuda_graph_enable"] = "True"
    if options.hardware_compatible:
        chosen["trt_engine_hw_compatible"] = "True"
    return chosen | _cache_options(request, chosen)


def _profile(
    inputs: Mapping[str, TensorSpec], options: GpuOptions
) -> dict[str, str]:
    """Return smallest, typical and largest shapes; nothing unless the batch is the only free size."""
    free = {
        name: spec.shape[1:]
        for name, spec in inputs.items()
        if None in spec.shape
    }
    if not free or any(None in sizes for sizes in free.values()):
        return {}
    profile = {}
    for option, batch in zip(_PROFILES, options.batches, strict=True):
        shapes = [
            f"{name}:" + "x".join(map(str, (batch, *sizes)))
            for name, sizes in free.items()
        ]
        profile[option] = ",".join(shapes)
    return profile


def _cache_options(
    request: ProviderRequest, chosen: Mapping[str, str]
) -> dict[str, str]:
    """Return the folder of engines and timings, one per graph, release, driver and set of options.

    The provider finds an engine by the graph's structure, not by its weights, and
    asks users to empty the folder when model, release or machine change. A folder
    named after all of these is empty after such a change.
    """
    path = request.graph.path
    in_bundle = (path.parent / MANIFEST).is_file()
    owner = path.parent if in_bundle else path
    cache = request.options.cache or owner.with_name(f"{owner.name}.engines")
    folder = cache / f"onnxruntime-{_fingerprint(request, chosen)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        warnings.warn(
            f"engines cannot be kept in {cache} ({error}); "
            f"they are built at each start",
            stacklevel=2,
        )
        return {}
    return {
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": str(folder),
    }


def _fingerprint(request: ProviderRequest, chosen: Mapping[str, str]) -> str:
    machine = [
        [gpu.name, gpu.compute, gpu.processors, gpu.driver]
        for gpu in gpus.find().gpus
    ]
    tensorrt = str(getattr(sys.modules.get("tensorrt"), "__version__", ""))
    settings = dict(chosen)
    settings["tf32"] = str(request.options.tf32)
    settings["version"] = request.version
    facts = [
        request.graph.digests, machine, tensorrt, sorted(settings.items())
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def remove_empty_caches(listed: ProviderList) -> None:
    """Remove the folders for engines if a session that failed to open left them empty."""
    for _, options in listed:
        if "trt_engine_cache_path" in options:
            folder = Path(options["trt_engine_cache_path"])
            with contextlib.suppress(OSError):
                folder.rmdir()
                folder.parent.rmdir()
