"""OpenVINO. CPU plugins may choose bfloat16 by themselves, so the precision is hinted; devices are asserted."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomedge.bundle import Variant
from anomedge.errors import DeviceMismatch, InputError, RuntimeFailure
from anomedge.runtimes.base import Options, Session, Tensors, TensorSpec
from anomedge.runtimes.imports import import_openvino

__all__ = ["OvSession"]


class OvSession(Session):
    """A graph under OpenVINO; `device` is cpu, gpu, npu, or a plugin's own name such as GPU.1."""

    name = "openvino"
    short = "ov"
    vendor = "openvino"
    extra = "openvino"

    @classmethod
    def file_of(cls, variant: Variant, options: Options) -> str:
        """The IR; stages, and bundles without an IR, as ONNX."""
        if options.stages:
            return variant.graph("stages")
        return variant.find(format="openvino") or variant.graph()

    @property
    def version(self) -> str:
        """OpenVINO's own version."""
        return str(import_openvino().__version__).split("-")[0]

    def _open(self) -> None:
        openvino = import_openvino()
        from openvino import properties

        if self.options.tf32:
            raise InputError(
                "openvino: got precision tf32; TF32 is a mode of NVIDIA's GPUs: ask for fp32"
            )
        core = _core()
        device = self.options.device.upper()
        if not any(
            known == device or known.split(".")[0] == device
            for known in core.available_devices
        ):
            known = ", ".join(core.available_devices)
            raise DeviceMismatch(
                f"openvino: got device {self.options.device!r}; this machine has: {known}"
            )
        hints = properties.hint
        modes = {
            "latency": hints.PerformanceMode.LATENCY,
            "throughput": hints.PerformanceMode.THROUGHPUT,
        }
        settings: dict[Any, Any] = {
            hints.inference_precision: openvino.Type.f32,
            hints.performance_mode: modes[self.options.hint],
        }
        if self.options.threads is not None:
            settings[properties.inference_num_threads] = self.options.threads
        with self._model(core) as model:
            self._compiled = core.compile_model(model, device, settings)
        real = self._compiled.get_property(properties.execution_devices)
        self._assert_running_on(str(real[0]), device, f"{device}.0")
        self._requests = threading.local()

    @contextmanager
    def _model(self, core: Any) -> Iterator[Any]:
        """Yield the OpenVINO model, read from bytes; a large ONNX graph is read from private files."""
        if self.path.suffix == ".xml":
            weights = self.path.with_suffix(".bin").name
            content = (
                self.graph.read(weights) if self.graph.has(weights) else b""
            )
            yield core.read_model(self.graph.load_ir(), content)
            return
        loaded = self.graph.load()
        if loaded.fits:
            yield self._read(core, loaded.whole())
            return
        with loaded.private() as path:
            yield self._read(core, path)

    def _read(self, core: Any, source: bytes | Path) -> Any:
        try:
            return core.read_model(source)
        except Exception as error:
            halved = (
                self.path.suffix == ".onnx" and self.options.precision != "fp32"
            )
            if not halved or int(self.version.split(".")[0]) >= 2025:
                raise
            reason = " ".join(str(error).split())[:300]
            raise RuntimeFailure(
                f"openvino {self.version} could not read {self.path.name} ({reason}); if its weights lie beside it, expected "
                "2025.0 or later, as those before read no float16 out of another file: pip install -U openvino, or ask for "
                "--precision fp32"
            ) from error

    def _specs(self) -> tuple[dict[str, TensorSpec], dict[str, TensorSpec]]:
        return _described(self._compiled.inputs), _described(
            self._compiled.outputs
        )

    def _run(self, feed: Mapping[str, npt.NDArray[Any]]) -> Tensors:
        # One request a thread: a request must not be shared while it runs.
        request = getattr(self._requests, "request", None)
        if request is None:
            request = self._requests.request = (
                self._compiled.create_infer_request()
            )
        results = request.infer(dict(feed), share_inputs=True)
        return {
            name: np.array(results[i]) for i, name in enumerate(self.outputs)
        }

    def _close(self) -> None:
        del self._requests
        del self._compiled


@cache
def _core() -> Any:
    """The process's only core, which lives as long as it does.

    Each core's CPU plugin moves the thread's signal stack to memory of its own and frees that when it goes; after two
    cores went in the order they came, the stack is where the first one's was, and the next signal ends the process.
    """
    return import_openvino().Core()


def _described(ports: list[Any]) -> dict[str, TensorSpec]:
    return {
        _name(port): TensorSpec(
            np.dtype(port.get_element_type().to_dtype()).name,
            tuple(
                n.get_length() if n.is_static else None
                for n in port.get_partial_shape()
            ),
        )
        for port in ports
    }


def _name(port: Any) -> str:
    """The graph's own name of an input or output: tensors that OpenVINO made one carry the names of both."""
    own = str(port.get_node().get_friendly_name()).removesuffix("/sink_port_0")
    return own if own in port.get_names() else str(port.get_any_name())
