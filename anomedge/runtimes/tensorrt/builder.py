"""From an ONNX file to a serialised engine, on the calls that TensorRT has kept from 8.6 to 11.

Precision lies in the ONNX types. Networks are strongly typed where the release has that (from 10 on). TensorRT 8 chooses
types itself: half precision is allowed there only for a graph that holds some, and every layer that gives float32 is held
to it. TF32 is cleared unless asked for. There are no calibrators and no plugins.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from anomedge.errors import InputError
from anomedge.progress import waiting
from anomedge.runtimes.base import Options
from anomedge.runtimes.graph_file import Loaded
from anomedge.runtimes.tensorrt.log import Lines, listen

__all__ = ["Order", "Product", "build"]

T = TypeVar("T")

_UNPINNED = {"CAST", "CONSTANT", "IDENTITY", "SHAPE"}
"""Kinds of layers that compute nothing: TensorRT 8 wants no precision of them."""


@dataclass(frozen=True)
class Order:
    """What to build.

    Args:
        graph: the ONNX graph.
        options: how; `batches`, `workspace`, `tf32` and their like.
        portable: the release builds for a family of GPUs by itself, and has no timing cache.
        targets: compute capabilities to build for, such as "7.5"; the release's own choice when empty.
        timing: the timing cache so far.
        prepare: run first on the builder's thread, to choose the GPU.
    """

    graph: Loaded
    options: Options
    portable: bool = False
    targets: tuple[str, ...] = ()
    timing: bytes = b""
    prepare: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Product:
    """The serialised engine, and the timing cache after it."""

    plan: bytes
    timing: bytes


def build(trt: Any, order: Order) -> Product:
    """Build an engine, with progress on a terminal; Ctrl-C stops it where the release can be stopped.

    Raises:
        InputError: the graph or the options do not fit the release.
        VendorError: the parser or the builder failed, with what it said.
    """
    stop = threading.Event()
    with waiting(f"building an engine of {order.graph.path.name}") as say:
        product = _on_a_thread(
            lambda: _build(trt, order, _monitor(trt, say, stop)), stop, say
        )
    listen(trt)[1].tell()
    return product


def _on_a_thread(
    work: Callable[[], T], stop: threading.Event, say: Callable[[str], None]
) -> T:
    """Signals reach Python's main thread only, and must not unwind through the vendor's frames: build beside it."""
    results: list[T] = []
    errors: list[BaseException] = []
    done = threading.Event()

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - handed over to the thread that waits
            errors.append(error)
        finally:
            done.set()

    thread = threading.Thread(target=run, name="anomedge-builder", daemon=True)
    try:
        thread.start()
        while not done.wait(
            0.1
        ):  # not `join`, which takes an interrupted wait for the thread's end (bpo-45274)
            pass
    except BaseException:
        stop.set()  # the monitor hears of it at the next step; without one, the vendor must come to its end
        if thread in threading.enumerate():
            with suppress(Exception):
                say("stopping")
            done.wait()
        raise
    if errors:
        raise errors[0]
    return results[0]


def _monitor(
    trt: Any, say: Callable[[str], None], stop: threading.Event
) -> Any:
    """What hears of the build's steps and may end it; None where the release has no such thing (before 10)."""
    if not hasattr(trt, "IProgressMonitor"):
        return None

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.steps: dict[str, int] = {}

        def phase_start(
            self, phase_name: str, parent_phase: str | None, num_steps: int
        ) -> None:
            del parent_phase
            self.steps[phase_name] = num_steps

        def step_complete(self, phase_name: str, step: int) -> bool:
            with suppress(
                Exception
            ):  # a line that cannot be shown must not end the process
                say(
                    f"{phase_name.lower()} {step + 1}/{self.steps.get(phase_name, 0)}"
                )
            return not stop.is_set()

        def phase_finish(self, phase_name: str) -> None:
            self.steps.pop(phase_name, None)

    return Monitor()


def _build(trt: Any, order: Order, monitor: Any) -> Product:
    order.prepare()
    log, lines = listen(trt)
    builder = trt.Builder(log)
    weak = _weakly_typed(trt, order.options)
    flag = "EXPLICIT_BATCH" if weak else "STRONGLY_TYPED"
    network = builder.create_network(
        1 << int(getattr(trt.NetworkDefinitionCreationFlag, flag))
    )
    parser = trt.OnnxParser(network, log)
    if not _parsed(parser, order.graph):
        texts = [
            " ".join(str(parser.get_error(i)).split())
            for i in range(parser.num_errors)
        ]
        raise lines.failure(
            f"{order.graph.path.name} was not understood", *texts
        )
    config = builder.create_builder_config()
    _configure(trt, builder, config, order)
    if weak:
        _pin(trt, network, config, order.options)
    _add_profile(builder, network, config, order)
    cache = (
        None if order.portable else _with_timing(config, order.timing, lines)
    )
    if monitor is not None:
        config.progress_monitor = monitor
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise lines.failure(
            f"no engine could be built of {order.graph.path.name}"
        )
    return Product(
        bytes(memoryview(plan)),
        b"" if cache is None else bytes(memoryview(cache.serialize())),
    )


def _parsed(parser: Any, graph: Loaded) -> bool:
    """Parse the graph and return success; the parser gets bytes, or private files if the graph exceeds one piece."""
    if graph.fits:
        return bool(parser.parse(graph.whole()))
    with graph.private() as path:
        return bool(parser.parse_from_file(str(path)))


def _weakly_typed(trt: Any, options: Options) -> bool:
    """TensorRT 8 has nothing else, and until 11 the deep learning accelerator takes nothing else."""
    if not hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED"):
        return True
    return options.dla is not None and hasattr(trt.BuilderFlag, "FP16")


def _configure(trt: Any, builder: Any, config: Any, order: Order) -> None:
    options, flags = order.options, trt.BuilderFlag
    (config.set_flag if options.tf32 else config.clear_flag)(flags.TF32)
    if options.workspace is not None:
        config.set_memory_pool_limit(
            trt.MemoryPoolType.WORKSPACE, options.workspace
        )
    if options.version_compatible:
        config.set_flag(flags.VERSION_COMPATIBLE)
    if options.hardware_compatible and not order.portable:
        config.hardware_compatibility_level = (
            trt.HardwareCompatibilityLevel.AMPERE_PLUS
        )
    if options.dla is not None:
        _use_dla(trt, builder, config, options.dla)
    if order.targets:
        config.num_compute_capabilities = len(order.targets)
        for i, target in enumerate(order.targets):
            config.set_compute_capability(
                getattr(trt.ComputeCapability, f"SM{target.replace('.', '')}"),
                i,
            )


def _use_dla(trt: Any, builder: Any, config: Any, core: int) -> None:
    count = builder.num_DLA_cores
    if not 0 <= core < count:
        raise InputError(
            f"got dla={core}; this device and release have {count} such cores: leave it out"
        )
    config.default_device_type = trt.DeviceType.DLA
    config.DLA_core = core
    config.set_flag(trt.BuilderFlag.GPU_FALLBACK)


def _pin(trt: Any, network: Any, config: Any, options: Options) -> None:
    """Hold what the ONNX file says is float32 to float32, where the builder may choose half precision."""
    layers = [network.get_layer(i) for i in range(network.num_layers)]
    if not any(
        tensor.dtype == trt.DataType.HALF
        for layer in layers
        for tensor in _outputs(layer)
    ):
        if options.dla is not None:
            raise InputError(
                "got dla with a graph in float32; expected half precision: export --precision fp16"
            )
        return
    config.set_flag(trt.BuilderFlag.FP16)
    config.set_flag(trt.BuilderFlag.OBEY_PRECISION_CONSTRAINTS)
    for layer in layers:
        kinds = [tensor.dtype for tensor in _outputs(layer)]
        floats = [
            i for i, kind in enumerate(kinds) if kind == trt.DataType.FLOAT
        ]
        if (
            floats
            and trt.DataType.HALF not in kinds
            and layer.type.name not in _UNPINNED
        ):
            layer.precision = trt.DataType.FLOAT
            for i in floats:
                layer.set_output_type(i, trt.DataType.FLOAT)


def _outputs(layer: Any) -> Iterator[Any]:
    tensors = (layer.get_output(i) for i in range(layer.num_outputs))
    return (tensor for tensor in tensors if tensor is not None)


def _add_profile(builder: Any, network: Any, config: Any, order: Order) -> None:
    """Least, usual and largest batch; a graph of a fixed batch needs none."""
    inputs = [network.get_input(i) for i in range(network.num_inputs)]
    shapes = {tensor.name: tuple(tensor.shape) for tensor in inputs}
    for name, shape in shapes.items():
        if any(size < 0 for size in shape[1:]):
            raise InputError(
                f"input {name!r} takes any size in {shape}; expected that of its batch only: fix the others"
            )
    moving = {
        name: shape for name, shape in shapes.items() if shape and shape[0] < 0
    }
    if not moving:
        return
    if order.options.dla is not None:
        raise InputError(
            "got dla with a graph of any batch; the accelerator takes one fixed batch: export with --batch N"
        )
    profile = builder.create_optimization_profile()
    for name, shape in moving.items():
        profile.set_shape(
            name, *((count, *shape[1:]) for count in order.options.batches)
        )
    if config.add_optimization_profile(profile) < 0:
        raise InputError(
            f"the builder takes no batches {order.options.batches}; give others"
        )


def _with_timing(config: Any, content: bytes, lines: Lines) -> Any:
    """A timing cache with what earlier builds measured; a spoilt one is a new one."""
    cache = config.create_timing_cache(content)
    if content and (cache is None or not config.set_timing_cache(cache, False)):
        warnings.warn(
            "the timing cache is another device's, or spoilt; a new one is made",
            stacklevel=2,
        )
        lines.tell()
        content = b""
        cache = config.create_timing_cache(content)
    if not content:
        config.set_timing_cache(cache, False)
    return cache
