"""OpenVINO on CPUs, Intel GPUs and NPUs.

CPU plugins choose bfloat16 where the hardware has it, so float32 is requested;
the device is asserted after opening.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from anomedge.bundle import Variant, require_outside
from anomedge.bundle.operators import unlisted_layers
from anomedge.errors import BundleError, DeviceMismatch, RuntimeFailure
from anomedge.runtimes import options as option_classes
from anomedge.runtimes.base import Session
from anomedge.runtimes.choice import Preference
from anomedge.runtimes.compiled_models import (
    VARIABLE,
    CompiledModel,
    folder_of_environment,
)
from anomedge.runtimes.imports import import_openvino
from anomedge.runtimes.processor import instruction_sets
from anomedge.runtimes.specs import Tensors, TensorSpec

__all__ = ["OvOptions", "OvSession", "rt_info_as_read"]

_READS_EXTERNAL_FLOAT16 = 2025
_CACHE_RULES = 1
"""Version of what compiled models depend on; raised when this module changes it."""


class OvOptions(option_classes.Options):
    """Options of OpenVINO."""

    modes: ClassVar[tuple[str, ...]] = ("bf16",)

    hint: Literal["latency", "throughput"] = Field(
        "latency", description="Performance to optimise for."
    )
    bf16: bool = Field(
        False, description="Compute in bfloat16, a precision of its own."
    )
    cache: Path | None = Field(
        default_factory=folder_of_environment,
        description=f"Folder for compiled models, of this user only; {VARIABLE} of the environment when not given, else none.",
    )


class OvSession(Session):
    """A graph under OpenVINO.

    The device is cpu, gpu, npu, or a plugin's own name such as GPU.1.
    """

    name = "openvino"
    short = "ov"
    vendor = "openvino"
    extra = "openvino"
    devices = ("cpu", "gpu", "npu")
    Options = OvOptions

    options: OvOptions

    @classmethod
    def file_of(cls, variant: Variant, options: option_classes.Options) -> str:
        """Return the IR; stages, and bundles without an IR, are ONNX files."""
        if options.stages:
            return variant.graph("stages")
        return variant.find(format="openvino") or variant.graph()

    @classmethod
    def preference(cls, precision: str) -> Preference:
        """Return the rank of the CPU; GPU and NPU are used only if the user names them, because both round differently."""
        if precision == "int8":
            return Preference(
                "faster on a CPU",
                "it computes int8 convolutions in INT8, onnxruntime in float32",
            )
        return Preference("CPU", "on the CPU")

    @classmethod
    def check_device(cls, device: str) -> None:
        """Check that OpenVINO has a plugin and hardware for the device.

        Raises:
            DeviceMismatch: it does not.
        """
        available = _core().available_devices
        families = {name.split(".")[0] for name in available}
        if device.upper() not in {*available, *families}:
            raise DeviceMismatch(
                f"openvino: got device {device!r}; "
                f"this machine has: {', '.join(available)}"
            )

    @property
    def version(self) -> str:
        """OpenVINO's version."""
        return str(import_openvino().__version__).split("-")[0]

    def _open(self) -> None:
        properties = import_openvino().properties
        self.check_device(self.device)
        device = self.device.upper()
        core, settings = _core(), self._settings()
        if self.options.bf16:
            _require_bf16(core, device)
        kept = self._kept(core, device, settings)
        self._compiled = (
            self._compile(core, device, settings)
            if kept is None
            else self._imported(kept, core, device, settings)
        )
        real = self._compiled.get_property(properties.execution_devices)
        self._assert_running_on(str(real[0]), device, f"{device}.0")
        self._requests = threading.local()

    def _compile(self, core: Any, device: str, settings: Any) -> Any:
        with self._model(core) as model:
            self._refuse_unlisted_layers(model)
            return core.compile_model(model, device, settings)

    def _kept(
        self, core: Any, device: str, settings: Mapping[Any, Any]
    ) -> CompiledModel | None:
        """Return the place of the compiled model; None without a cache, outside a bundle, or if the device exports none."""
        bundle, folder = self.graph.bundle, self.options.cache
        properties = import_openvino().properties.device
        if bundle is None or folder is None:
            return None
        require_outside(bundle, folder)
        abilities = core.get_property(device, properties.capabilities)
        if "EXPORT_IMPORT" not in abilities:
            return None
        facts = {
            "rules": _CACHE_RULES,
            "bundle": bundle.manifest.digest,
            "file": self.path.relative_to(bundle.path).as_posix(),
            "openvino": str(import_openvino().__version__),
            "device": [device, core.get_property(device, properties.full_name)],
            "abilities": sorted(map(str, abilities)),
            "instructions": sorted(instruction_sets()),
            "settings": sorted(f"{k}={v}" for k, v in settings.items()),
        }
        return CompiledModel(folder, facts)

    def _imported(
        self, kept: CompiledModel, core: Any, device: str, settings: Any
    ) -> Any:
        """Return the model from its compiled form, made first if need be: a proof then runs what later openings run."""
        content = kept.read()
        if content is not None:
            with suppress(RuntimeError):
                return core.import_model(content, device, settings)
            kept.discard()
        exported = self._compile(core, device, settings).export_model()
        # Releases return bytes, or a stream in memory.
        content = getattr(exported, "getvalue", lambda: exported)()
        kept.write(content)
        return core.import_model(content, device, settings)

    def _settings(self) -> dict[Any, Any]:
        openvino = import_openvino()
        properties = openvino.properties
        hints = properties.hint
        modes = {
            "latency": hints.PerformanceMode.LATENCY,
            "throughput": hints.PerformanceMode.THROUGHPUT,
        }
        settings: dict[Any, Any] = {
            hints.inference_precision: (
                openvino.Type.bf16 if self.options.bf16 else openvino.Type.f32
            ),
            hints.performance_mode: modes[self.options.hint],
        }
        if self.options.threads is not None:
            settings[properties.inference_num_threads] = self.options.threads
        return settings

    @contextmanager
    def _model(self, core: Any) -> Iterator[Any]:
        """Yield the OpenVINO model, read from bytes; a large ONNX graph is read from private files.

        OpenVINO copies the bytes, so nothing may hold them while it compiles.
        """
        if self.path.suffix == ".xml":
            yield core.read_model(self.graph.load_ir(), self._weights())
            return
        graph = self.graph.load()
        if not graph.fits_in_one_piece:
            with graph.temporary_copy() as path:
                yield self._read(core, path)
            return
        model = self._read(core, graph.in_one_piece())
        del graph
        yield model

    def _weights(self) -> bytes:
        """Read the weights of the IR."""
        name = self.path.with_suffix(".bin").name
        return self.graph.read(name) if self.graph.has(name) else b""

    def _refuse_unlisted_layers(self, model: Any) -> None:
        """Refuse a bundle's graph with layers that may keep a state; an ONNX graph may become such layers."""
        if self.graph.bundle is None:
            return
        kinds = [node.get_type_name() for node in model.get_ordered_ops()]
        if unlisted := unlisted_layers(kinds):
            raise BundleError(
                f"{self.path} becomes layers of type {', '.join(unlisted)} in OpenVINO, which may keep a state; expected "
                f"layers whose outputs depend on their inputs alone: run it with --runtime onnxruntime"
            )

    def _read(self, core: Any, source: bytes | Path) -> Any:
        try:
            return core.read_model(source)
        except Exception as error:
            release = int(self.version.split(".")[0])
            if (
                self.options.precision == "fp32"
                or release >= _READS_EXTERNAL_FLOAT16
            ):
                raise
            reason = " ".join(str(error).split())[:300]
            raise RuntimeFailure(
                f"openvino {self.version} could not read {self.path.name} "
                f"({reason}); if its weights lie beside it, expected 2025.0 or "
                f"later, as those before read no float16 out of another file: "
                f"pip install -U openvino, or ask for --precision fp32"
            ) from error

    def _specs(self) -> tuple[dict[str, TensorSpec], dict[str, TensorSpec]]:
        inputs = _specs_of(self._compiled.inputs)
        return inputs, _specs_of(self._compiled.outputs)

    def _run(self, feed: Mapping[str, npt.NDArray[Any]]) -> Tensors:
        # One request per thread: a request must not be shared while it runs.
        request = getattr(self._requests, "request", None)
        if request is None:
            request = self._compiled.create_infer_request()
            self._requests.request = request
        results = request.infer(dict(feed), share_inputs=True)
        return {
            name: np.array(results[i]) for i, name in enumerate(self.outputs)
        }

    def _close(self) -> None:
        del self._requests
        del self._compiled


def rt_info_as_read(
    content: bytes, weights: bytes, section: str
) -> dict[str, str]:
    """Return the entries of a section of `rt_info` that OpenVINO finds in an IR, as texts by name.

    Raises:
        ImportError: OpenVINO is not installed.
        RuntimeError: OpenVINO cannot read the IR.
    """
    graph = _core().read_model(content, weights)
    if not graph.has_rt_info(section):
        return {}
    found = graph.get_rt_info(section).value
    entries = found.items() if isinstance(found, dict) else [("", found)]
    return {
        str(name): str(getattr(value, "value", value))
        for name, value in entries
    }


@cache
def _core() -> Any:
    """Return the process's only core, which is never freed.

    Each core's CPU plugin moves the thread's signal stack to its own memory and
    restores the former one when it is freed. If two cores are freed in the order
    of their creation, the stack points to freed memory, and the next signal
    ends the process.
    """
    return import_openvino().Core()


def _require_bf16(core: Any, device: str) -> None:
    """Refuse a device that would compute in float32 instead.

    Raises:
        DeviceMismatch: it has no instructions for bfloat16.
    """
    name = import_openvino().properties.device.capabilities
    found = core.get_property(device, name)
    if "BF16" not in found:
        raise DeviceMismatch(
            f"openvino: got precision bf16 on {device}, which has: "
            f"{', '.join(found)}; expected a processor with AVX512-BF16 or AMX, "
            f"or --precision fp32"
        )


def _specs_of(ports: list[Any]) -> dict[str, TensorSpec]:
    return {_name(port): _spec(port) for port in ports}


def _spec(port: Any) -> TensorSpec:
    dtype = np.dtype(port.get_element_type().to_dtype()).name
    sizes = [
        size.get_length() if size.is_static else None
        for size in port.get_partial_shape()
    ]
    return TensorSpec(dtype, tuple(sizes))


def _name(port: Any) -> str:
    """Return the graph's name of an input or output.

    Tensors that OpenVINO merged carry the names of both.
    """
    own = str(port.get_node().get_friendly_name()).removesuffix("/sink_port_0")
    return own if own in port.get_names() else str(port.get_any_name())
