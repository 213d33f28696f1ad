"""ONNX Runtime. It lists providers it cannot use and falls back silently, so the one asked for is asserted.

On NVIDIA's GPUs a listed provider may not load, may leave nodes to the CPU, and may compute in TF32 unasked; see
`anomedge.runtimes.nvidia.providers` for what is done about each.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomedge.errors import DeviceMismatch, InputError
from anomedge.runtimes.base import Session, Tensors, TensorSpec
from anomedge.runtimes.external_tensors import values_of
from anomedge.runtimes.graph_file import Loaded
from anomedge.runtimes.imports import import_onnxruntime
from anomedge.runtimes.nvidia import providers as gpu

__all__ = ["OrtSession"]

_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": gpu.CUDA,
    "tensorrt": gpu.TENSORRT,
    "openvino": "OpenVINOExecutionProvider",
}
_TYPES = {
    "tensor(bool)": "bool",
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(uint8)": "uint8",
}
_WARNINGS = 2
_FOLDER_OF_VALUES = "session.model_external_initializers_file_folder_path"
"""Session option: folder of files that the graph refers to; the current folder without it. Older releases ignore it."""


class OrtSession(Session):
    """A graph under ONNX Runtime; `device` is cpu, cuda, cuda:1, tensorrt, tensorrt:1 or a provider's own name.

    Attributes:
        placement: on a GPU, where each node of a first run was; None on the CPU, and where the graph's sizes are not known.
    """

    name = "onnxruntime"
    short = "ort"
    vendor = "onnxruntime"
    extra = "ort"

    placement: gpu.Placement | None = None

    @property
    def version(self) -> str:
        """ONNX Runtime's own version."""
        return str(import_onnxruntime().__version__)

    def _open(self) -> None:
        onnxruntime = import_onnxruntime()
        provider, number = _provider_of(self.options.device)
        if provider not in onnxruntime.get_available_providers():
            known = ", ".join(onnxruntime.get_available_providers())
            raise DeviceMismatch(
                f"onnxruntime: got device {self.options.device!r}; this build has: {known}"
            )
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = _WARNINGS
        if self.options.threads is not None:
            settings.intra_op_num_threads = self.options.threads
            settings.inter_op_num_threads = 1
        self._bindings: gpu.Bindings | None = None
        self._values: dict[str, npt.NDArray[np.generic]] = {}
        if provider in {gpu.CUDA, gpu.TENSORRT}:
            self._open_on_gpu(onnxruntime, provider, number, settings)
            return
        if self.options.tf32:
            raise InputError(
                f"got precision tf32 on {provider}; TF32 is a mode of NVIDIA's GPUs: ask for --device cuda or tensorrt"
            )
        content = self._content(onnxruntime, settings, self.graph.load())
        self._session = _opened(onnxruntime, content, settings, [provider])
        self._assert_running_on(self._session.get_providers()[0], provider)

    def _open_on_gpu(
        self, vendor: Any, provider: str, number: int, settings: Any
    ) -> None:
        """Open, run once, and see in the session's own profile that the nodes were where they should be."""
        gpu.preload(vendor, provider)
        gpu.check_tf32(provider, self.options.tf32)
        loaded = self.graph.load()
        content = self._content(vendor, settings, loaded)
        # Only what depends on shapes is worth reading the graph once more.
        by_shape = provider == gpu.TENSORRT or self.options.cuda_graph
        inputs = self._inputs(vendor, loaded) if by_shape else {}
        listed = gpu.providers(
            provider, number, loaded, inputs, self.options, self.version
        )
        if "trt_profile_max_shapes" in listed[0][1]:
            self.largest = self.options.batches[2]
        try:
            with tempfile.TemporaryDirectory() as folder:
                settings.enable_profiling = True
                settings.profile_file_prefix = str(Path(folder) / "placement")
                self._session = _opened(
                    vendor, content, settings, listed, enable_fallback=0
                )
                self._assert_running_on(
                    self._session.get_providers()[0], provider
                )
                self._assert_number(provider, number)
                self._bind(vendor, number)
                self._assert_placed(provider)
        except BaseException:
            gpu.tidy(listed)
            raise

    def _bind(self, vendor: Any, number: int) -> None:
        _, outputs = self._specs()
        self._bindings = gpu.Bindings(
            vendor,
            self._session,
            outputs,
            ("cuda", number),
            self.options.cuda_graph,
        )

    def _assert_placed(self, provider: str) -> None:
        """Run once, and look where the nodes were; after that the session keeps no profile."""
        feed = self._any_feed()
        if self._bindings is not None and feed is not None:
            self._bindings.run(feed)
        profile = Path(self._session.end_profiling())
        if feed is not None:
            self.placement = gpu.placement_of(profile)
            self.placement.check(self.name, provider)

    def _inputs(self, vendor: Any, loaded: Loaded) -> dict[str, TensorSpec]:
        """What the graph takes, before a provider is asked to build for it."""
        settings = vendor.SessionOptions()
        settings.log_severity_level = _WARNINGS
        settings.graph_optimization_level = (
            vendor.GraphOptimizationLevel.ORT_DISABLE_ALL
        )
        content = self._content(vendor, settings, loaded)
        return _described(
            _opened(
                vendor, content, settings, ["CPUExecutionProvider"]
            ).get_inputs()
        )

    def _content(self, vendor: Any, settings: Any, loaded: Loaded) -> bytes:
        """Return the graph as bytes; values of a graph over the size limit are passed as initializers, without a copy."""
        if loaded.fits:
            return loaded.whole()
        self._values = {
            tensor.name: values_of(tensor, loaded.files)
            for tensor in loaded.tensors
        }
        ready = [
            vendor.OrtValue.ortvalue_from_numpy(values)
            for values in self._values.values()
        ]
        settings.add_external_initializers(list(self._values), ready)
        return loaded.content

    def _assert_number(self, provider: str, number: int) -> None:
        real = (
            self._session.get_provider_options()
            .get(provider, {})
            .get("device_id", "0")
        )
        if str(real) != str(number):
            raise DeviceMismatch(
                f"{self.name}: asked for {self.options.device!r}, but it runs on GPU {real}"
            )
        if number:
            self.running_on = f"{provider}:{number}"

    def _any_feed(self) -> Tensors | None:
        """Zeros of the usual batch; None where more than the batch is free."""
        inputs, usual = self._specs()[0], self.options.batches[1]
        if any(None in spec.shape[1:] for spec in inputs.values()):
            return None
        return {
            name: np.zeros(
                [usual if n is None else n for n in spec.shape],
                dtype=spec.dtype,
            )
            for name, spec in inputs.items()
        }

    def _specs(self) -> tuple[dict[str, TensorSpec], dict[str, TensorSpec]]:
        return _described(self._session.get_inputs()), _described(
            self._session.get_outputs()
        )

    def _run(self, feed: Mapping[str, npt.NDArray[Any]]) -> Tensors:
        if self._bindings is not None:
            return self._bindings.run(feed)
        names = list(self.outputs)
        return dict(
            zip(names, self._session.run(names, dict(feed)), strict=True)
        )

    def _close(self) -> None:
        del self._bindings
        del self._session
        self._values.clear()


def _opened(
    vendor: Any,
    content: bytes,
    settings: Any,
    providers: list[Any],
    **more: Any,
) -> Any:
    """Open a session without fallback providers, which would need the graph's bytes again later."""
    with tempfile.TemporaryDirectory() as empty:
        # All values are in memory by now; a reference that was missed must not resolve to a file.
        settings.add_session_config_entry(_FOLDER_OF_VALUES, empty)
        settings.add_session_config_entry(
            "session.load_model_format", "ONNX"
        )  # never a guess from the bytes
        session = vendor.InferenceSession(
            content, settings, providers=providers, **more
        )
    session.disable_fallback()
    session._model_bytes = (
        b""  # kept by ONNX Runtime for the fallback only; as large as the graph
    )
    return session


def _provider_of(device: str) -> tuple[str, int]:
    """A provider's name, and the number of the GPU where one was given."""
    name, colon, number = device.partition(":")
    provider = _PROVIDERS.get(name.lower(), name)
    if colon and provider in {gpu.CUDA, gpu.TENSORRT} and number.isdecimal():
        return provider, int(number)
    return (device if colon else provider), 0


def _described(nodes: list[Any]) -> dict[str, TensorSpec]:
    return {
        node.name: TensorSpec(
            _TYPES.get(node.type, node.type),
            tuple(n if isinstance(n, int) else None for n in node.shape),
        )
        for node in nodes
    }
