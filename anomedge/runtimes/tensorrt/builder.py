"""Build a serialised engine from an ONNX graph, for TensorRT 8.6 to 11 and TensorRT for RTX.

The graph's types state the precision. Networks are strongly typed where the
release supports that (10 and later). TensorRT 8 chooses types itself: half
precision is allowed there only for a graph that contains some, and every float32
layer is pinned to float32. TF32 is off unless asked for. There are no calibrators
and no plugins.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from anomedge.errors import InputError
from anomedge.progress import waiting
from anomedge.runtimes.graph_file import GraphContent
from anomedge.runtimes.tensorrt import network as networks
from anomedge.runtimes.tensorrt.log import LogRecorder, logger_of
from anomedge.runtimes.tensorrt.options import EngineOptions
from anomedge.runtimes.tensorrt.progress import progress_monitor, run_on_thread

__all__ = ["BuildOutput", "BuildRequest", "build"]


def _do_nothing() -> None:
    """Leave the builder's thread as it is."""


@dataclass(frozen=True)
class BuildRequest:
    """An engine to build.

    Args:
        graph: the ONNX graph.
        options: the user's options.
        portable: whether the release builds for a family of GPUs; it then has no
            timing cache.
        targets: compute capabilities to build for, such as "7.5"; the release's
            choice when empty.
        timing: content of the timing cache.
        select_gpu: called first on the builder's thread.
    """

    graph: GraphContent
    options: EngineOptions
    portable: bool = False
    targets: tuple[str, ...] = ()
    timing: bytes = b""
    select_gpu: Callable[[], None] = _do_nothing


@dataclass(frozen=True)
class BuildOutput:
    """A serialised engine, and the timing cache after its build."""

    plan: bytes
    timing: bytes


def build(trt: Any, request: BuildRequest) -> BuildOutput:
    """Build an engine; show progress on a terminal.

    Ctrl-C stops the build where the release can be stopped.

    Raises:
        InputError: graph or options do not fit the release.
        VendorError: the parser or the builder failed, with its reasons.
    """
    stop = threading.Event()
    name = request.graph.path.name
    with waiting(f"building an engine of {name}") as show:
        monitor = progress_monitor(trt, show, stop)
        output = run_on_thread(
            lambda: _build(trt, request, monitor), stop, show
        )
    logger_of(trt)[1].emit_warnings()
    return output


def _build(trt: Any, request: BuildRequest, monitor: Any) -> BuildOutput:
    request.select_gpu()
    options = request.options
    logger, recorder = logger_of(trt)
    builder = trt.Builder(logger)
    if options.threads is not None:
        builder.max_threads = options.threads
    weakly_typed = networks.is_weakly_typed(trt, options)
    network = networks.create_network(trt, builder, weakly_typed=weakly_typed)
    parser = trt.OnnxParser(network, logger)
    networks.parse(parser, request.graph, recorder)
    config = builder.create_builder_config()
    _configure(trt, builder, config, request)
    if weakly_typed:
        networks.pin_float32_layers(trt, network, config, options)
    networks.add_profile(builder, network, config, options)
    timing = None
    if not request.portable:
        timing = _set_timing_cache(config, request.timing, recorder)
    if monitor is not None:
        config.progress_monitor = monitor
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise recorder.error(
            f"no engine could be built of {request.graph.path.name}"
        )
    measured = b"" if timing is None else bytes(memoryview(timing.serialize()))
    return BuildOutput(bytes(memoryview(plan)), measured)


def _configure(
    trt: Any, builder: Any, config: Any, request: BuildRequest
) -> None:
    options, flags = request.options, trt.BuilderFlag
    set_or_clear = config.set_flag if options.tf32 else config.clear_flag
    set_or_clear(flags.TF32)
    if options.workspace is not None:
        pool = trt.MemoryPoolType.WORKSPACE
        config.set_memory_pool_limit(pool, options.workspace)
    if options.version_compatible:
        config.set_flag(flags.VERSION_COMPATIBLE)
    if options.hardware_compatible and not request.portable:
        level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
        config.hardware_compatibility_level = level
    core = options.dla_core()
    if core is not None:
        _use_dla(trt, builder, config, core)
    if request.targets:
        _set_targets(trt, config, request.targets)


def _set_targets(trt: Any, config: Any, targets: tuple[str, ...]) -> None:
    config.num_compute_capabilities = len(targets)
    for i, target in enumerate(targets):
        name = f"SM{target.replace('.', '')}"
        config.set_compute_capability(getattr(trt.ComputeCapability, name), i)


def _use_dla(trt: Any, builder: Any, config: Any, core: int) -> None:
    count = builder.num_DLA_cores
    if not 0 <= core < count:
        raise InputError(
            f"got dla={core}; this device and release have {count} such cores: "
            f"leave it out"
        )
    config.default_device_type = trt.DeviceType.DLA
    config.DLA_core = core
    config.set_flag(trt.BuilderFlag.GPU_FALLBACK)


def _set_timing_cache(
    config: Any, content: bytes, recorder: LogRecorder
) -> Any:
    """Set a timing cache with earlier measurements; replace an unusable one by an empty one."""
    cache = config.create_timing_cache(content)
    if content and (cache is None or not config.set_timing_cache(cache, False)):
        warnings.warn(
            "the timing cache is another device's, or corrupt; a new one is made",
            stacklevel=2,
        )
        recorder.emit_warnings()
        content = b""
        cache = config.create_timing_cache(content)
    if not content:
        config.set_timing_cache(cache, False)
    return cache
