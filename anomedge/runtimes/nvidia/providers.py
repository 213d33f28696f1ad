"""ONNX Runtime on NVIDIA's GPUs: what its two providers are told, buffers that stay on the device, where nodes really ran.

Options by name: onnxruntime.ai/docs/execution-providers, CUDA-ExecutionProvider and TensorRT-ExecutionProvider. The
TensorRT provider reads flags as True and False only. Precision lives in the graph's types, so its flags for half
precision, int8 and bfloat16 are never set.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import json
import os
import sys
import threading
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomedge.errors import DeviceMismatch, InputError
from anomedge.runtimes.base import Options, Tensors, TensorSpec
from anomedge.runtimes.graph_file import Loaded
from anomedge.runtimes.nvidia import gpus

__all__ = [
    "CUDA",
    "TENSORRT",
    "Bindings",
    "Placement",
    "check_tf32",
    "placement_of",
    "preload",
    "providers",
    "tidy",
]

CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
_CPU = "CPUExecutionProvider"

_ENV = "NVIDIA_TF32_OVERRIDE"
# ONNX Runtime keeps arithmetic on shapes on the CPU on purpose; what moves more than this is no shape.
_BYTES_OF_SHAPES = 4096
_MANIFEST = "manifest.json"

_tensorrt_uses_tf32: list[bool] = []
"""What the process's first session under the TensorRT provider decided, empty before it."""


def preload(vendor: Any, provider: str) -> None:
    """Load the libraries that pip installed beside ONNX Runtime, where the loader would not find them.

    `preload_dlls` (since 1.21) knows CUDA and cuDNN; importing `tensorrt` loads its own. Neither failing is an error here:
    the system may have them elsewhere, and what is missing after all is said when the session opens.
    """
    if hasattr(vendor, "preload_dlls"):
        with contextlib.redirect_stdout(
            io.StringIO()
        ):  # it prints what it does not find
            vendor.preload_dlls()
    if provider == TENSORRT:
        with contextlib.suppress(ImportError, OSError):
            importlib.import_module("tensorrt")


def check_tf32(provider: str, wanted: bool) -> None:
    """Make TF32 what was asked for, where an option of the provider does not.

    The TensorRT provider builds with TF32 unless NVIDIA_TF32_OVERRIDE=0 forbids it to the whole process; the variable is
    read once (microsoft/onnxruntime#26029, #28177).

    Raises:
        InputError: the process has decided otherwise.
    """
    forbidden = os.environ.get(_ENV) == "0"
    if wanted and forbidden:
        raise InputError(
            f"got precision tf32, but {_ENV}=0 forbids it here; expected it unset: use another process"
        )
    if provider != TENSORRT:
        return
    if not wanted and _ENV in os.environ and not forbidden:
        raise InputError(
            f"got {_ENV}={os.environ[_ENV]}; expected it unset or 0 where TF32 was not asked for"
        )
    if _tensorrt_uses_tf32 and _tensorrt_uses_tf32[0] != wanted:
        raise InputError(
            "onnxruntime: got a second answer to TF32 under its TensorRT provider, which asks once in a process; "
            "expected the first: use another process"
        )
    _tensorrt_uses_tf32[:] = [wanted]
    if not wanted:
        os.environ[_ENV] = "0"


def providers(
    provider: str,
    number: int,
    graph: Loaded,
    inputs: Mapping[str, TensorSpec],
    options: Options,
    version: str,
) -> list[tuple[str, dict[str, str]]]:
    """The providers of a session in the order of preference, with what each is told.

    Args:
        provider: CUDA or TENSORRT; what TensorRT does not take, CUDA gets.
        number: of the GPU.
        graph: the graph to open.
        inputs: what the graph takes; TensorRT builds for a range of batches where the first axis is free.
        options: as asked for.
        version: of ONNX Runtime: its engines are not another release's.

    Raises:
        InputError: an option that cannot be had here.
    """
    if options.cuda_graph and any(
        None in spec.shape for spec in inputs.values()
    ):
        raise InputError(
            "got cuda_graph for a graph of any batch; expected fixed shapes: export with --batch N"
        )
    cuda = {
        "device_id": str(number),
        "use_tf32": str(int(options.tf32)),
        # The default times the algorithms anew in each process and for each shape: another choice, other last bits.
        "cudnn_conv_algo_search": "HEURISTIC",
    }
    if provider == TENSORRT:
        return [
            (TENSORRT, _tensorrt(number, graph, inputs, options, version)),
            (CUDA, cuda),
        ]
    return [
        (
            CUDA,
            cuda | ({"enable_cuda_graph": "1"} if options.cuda_graph else {}),
        )
    ]


def _tensorrt(
    number: int,
    graph: Loaded,
    inputs: Mapping[str, TensorSpec],
    options: Options,
    version: str,
) -> dict[str, str]:
    if options.version_compatible:
        raise InputError(
            "got version_compatible; onnxruntime's TensorRT provider has no such engines: leave it out"
        )
    if options.dla is not None:
        raise InputError(
            "got dla; onnxruntime's TensorRT provider uses it only where a flag lowers the graph: use the runtime tensorrt"
        )
    told = {"device_id": str(number)} | _profile(inputs, options)
    if options.workspace is not None:
        told["trt_max_workspace_size"] = str(options.workspace)
    if options.cuda_graph:
        told["trt_cuda_graph_enable"] = "True"
    if options.hardware_compatible:
        told["trt_engine_hw_compatible"] = "True"
    return told | _caches(
        graph,
        told | {"tf32": str(options.tf32), "version": version},
        options.cache,
    )


def _profile(
    inputs: Mapping[str, TensorSpec], options: Options
) -> dict[str, str]:
    """Least, usual and largest shapes of what is free; nothing where all is fixed or more than the batch is free."""
    free = {
        name: spec.shape[1:]
        for name, spec in inputs.items()
        if None in spec.shape
    }
    if not free or any(None in rest for rest in free.values()):
        return {}
    shapes = (
        ",".join(
            f"{name}:" + "x".join(str(n) for n in (batch, *rest))
            for name, rest in free.items()
        )
        for batch in options.batches
    )
    return dict(
        zip(
            (
                "trt_profile_min_shapes",
                "trt_profile_opt_shapes",
                "trt_profile_max_shapes",
            ),
            shapes,
            strict=True,
        )
    )


def _caches(
    graph: Loaded, told: Mapping[str, str], asked: Path | None
) -> dict[str, str]:
    """Where engines and timings are kept: a folder for each graph, release, driver and set of options.

    The provider finds an engine by the graph's structure, not by its weights, and asks users to empty the folder when the
    model, a release or the machine changes; a folder named after all of these is empty then by itself.
    """
    path = graph.path
    root = path.parent if (path.parent / _MANIFEST).is_file() else path
    cache = asked or root.with_name(f"{root.name}.engines")
    folder = cache / f"onnxruntime-{_fingerprint(graph, told)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        warnings.warn(
            f"engines cannot be kept in {cache} ({error}); they are built at each start",
            stacklevel=2,
        )
        return {}
    return {
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": str(folder),
    }


def tidy(listed: list[tuple[str, dict[str, str]]]) -> None:
    """Take away the folders for engines that a session which did not open left empty."""
    for _, told in listed:
        if "trt_engine_cache_path" in told:
            folder = Path(told["trt_engine_cache_path"])
            with contextlib.suppress(OSError):
                folder.rmdir()
                folder.parent.rmdir()


def _fingerprint(graph: Loaded, told: Mapping[str, str]) -> str:
    machine = [
        [gpu.name, gpu.compute, gpu.processors, gpu.driver]
        for gpu in gpus.find().gpus
    ]
    library = str(getattr(sys.modules.get("tensorrt"), "__version__", ""))
    known = [graph.digests, machine, library, sorted(told.items())]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16]


class Bindings:
    """Feeds and fetches through buffers on the GPU, which each thread keeps while its shapes stay the same.

    A recorded CUDA graph replays with the addresses that it was recorded with and must not be run by two threads at once,
    so then there is one set of buffers for all, and one thread at a time.
    """

    def __init__(
        self,
        vendor: Any,
        session: Any,
        outputs: Mapping[str, TensorSpec],
        device: tuple[str, int],
        recorded: bool,
    ) -> None:
        self._make = partial(
            _Binding, vendor, session, outputs, device, recorded
        )
        self._own: Any = threading.local()
        self._shared: _Binding | None = None
        self._lock = threading.Lock()
        self._recorded = recorded

    def run(self, feed: Mapping[str, npt.NDArray[Any]]) -> Tensors:
        """Feed and fetch; the arrays given back are the caller's."""
        if self._recorded:
            with self._lock:
                self._shared = self._shared or self._make(feed)
                return self._shared.run(feed)
        binding: _Binding | None = getattr(self._own, "binding", None)
        if binding is None or not binding.fits(feed):
            # A run fills the outputs that the last one left, so other shapes need other outputs too.
            self._own.binding = None
            binding = self._own.binding = self._make(feed)
        return binding.run(feed)


class _Binding:
    """One set of buffers: inputs written in place, outputs that stay on the GPU until they are copied back once."""

    def __init__(
        self,
        vendor: Any,
        session: Any,
        outputs: Mapping[str, TensorSpec],
        device: tuple[str, int],
        recorded: bool,
        feed: Mapping[str, npt.NDArray[Any]],
    ) -> None:
        self._session, self._names = session, list(outputs)
        self._binding = session.io_binding()
        self._shapes = {name: array.shape for name, array in feed.items()}
        place: Any = vendor.OrtValue.ortvalue_from_shape_and_type
        self._inputs = {
            name: place(list(a.shape), a.dtype.type, *device)
            for name, a in feed.items()
        }
        for name, value in self._inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        for name, spec in outputs.items():
            if recorded:
                value = place(
                    list(spec.shape), np.dtype(spec.dtype).type, *device
                )
                self._binding.bind_ortvalue_output(name, value)
            else:
                self._binding.bind_output(name, *device)

    def fits(self, feed: Mapping[str, npt.NDArray[Any]]) -> bool:
        """Are these of the shapes that the buffers are for?"""
        return self._shapes == {
            name: array.shape for name, array in feed.items()
        }

    def run(self, feed: Mapping[str, npt.NDArray[Any]]) -> Tensors:
        for name, array in feed.items():
            self._inputs[name].update_inplace(array)
        self._session.run_with_iobinding(self._binding)
        return dict(
            zip(self._names, self._binding.copy_outputs_to_cpu(), strict=True)
        )


@dataclass(frozen=True)
class Placement:
    """Where the nodes of a run were, by the session's own profile.

    Attributes:
        nodes: how many under each provider.
        strays: of those on the CPU, the ones that move more than shapes do.
    """

    nodes: dict[str, int]
    strays: tuple[str, ...]

    def check(self, name: str, provider: str) -> None:
        """Refuse a session that says it is on the GPU and is not.

        Raises:
            DeviceMismatch: nothing ran under the provider, or real work ran on the CPU.
        """
        if not self.nodes.get(provider):
            shown = (
                ", ".join(
                    f"{count} under {where}"
                    for where, count in self.nodes.items()
                )
                or "nothing"
            )
            raise DeviceMismatch(
                f"{name}: asked for {provider}, under which no node ran ({shown}); install what it needs, or ask for another"
            )
        if self.strays:
            shown = ", ".join(self.strays[:5]) + (
                f" and {len(self.strays) - 5} more"
                if len(self.strays) > 5
                else ""
            )
            raise DeviceMismatch(
                f"{name}: asked for {provider}, but {len(self.strays)} nodes run on the CPU: {shown}; "
                "expected all on the GPU: install a release that has them"
            )


def placement_of(profile: Path) -> Placement:
    """Read a session's profile.

    Session options can forbid the CPU (session.disable_cpu_ep_fallback), but then they forbid arithmetic on shapes there
    as well, which belongs there (microsoft/onnxruntime#17930); the profile tells the two apart, in every release.
    """
    where: dict[str, str] = {}
    sizes: Counter[str] = Counter()
    for event in _node_events(profile):
        arguments, node = (
            event["args"],
            str(event["name"]).removesuffix("_kernel_time"),
        )
        where[node] = str(arguments["provider"])
        moved = (
            int(arguments.get(key) or 0)
            for key in ("output_size", "activation_size", "parameter_size")
        )
        sizes[f"{arguments.get('op_name', '')} {node}"] = (
            max(moved) if where[node] == _CPU else 0
        )
    strays = tuple(
        node for node, size in sizes.items() if size > _BYTES_OF_SHAPES
    )
    return Placement(dict(Counter(where.values())), strays)


def _node_events(profile: Path) -> Iterator[dict[str, Any]]:
    for event in json.loads(
        profile.read_text(encoding="utf-8", errors="replace")
    ):
        if event.get("cat") == "Node" and event.get("args", {}).get("provider"):
            yield event
