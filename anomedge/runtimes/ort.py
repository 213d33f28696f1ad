"""ONNX Runtime on the CPU, NVIDIA GPUs and other execution providers.

ONNX Runtime lists providers that it cannot load and silently falls back, so the
provider is asserted after opening. GPUs: see `anomedge.runtimes.nvidia.providers`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anomedge.errors import DeviceMismatch, InputError
from anomedge.runtimes.base import Session
from anomedge.runtimes.choice import Preference
from anomedge.runtimes.external_tensors import values_of
from anomedge.runtimes.graph_file import GraphContent
from anomedge.runtimes.imports import import_onnxruntime
from anomedge.runtimes.nvidia import gpus
from anomedge.runtimes.nvidia import providers as gpu
from anomedge.runtimes.nvidia.bindings import Bindings
from anomedge.runtimes.nvidia.options import TF32, GpuOptions
from anomedge.runtimes.nvidia.placement import Placement, read_placement
from anomedge.runtimes.nvidia.tf32 import enforce_tf32
from anomedge.runtimes.options import Options
from anomedge.runtimes.parsed_once import open_parsed_once
from anomedge.runtimes.specs import Tensors, TensorSpec

__all__ = ["OrtOptions", "OrtSession"]

_PROVIDERS = {
    "cpu": gpu.CPU,
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
_LOG_WARNINGS = 2
_FOLDER_OF_VALUES = "session.model_external_initializers_file_folder_path"
"""Session option: folder of the files that the graph refers to; without it, the
current folder. Older releases ignore it."""


class OrtOptions(GpuOptions):
    """Options of ONNX Runtime; all but the common ones need a GPU provider."""

    def refuse_gpu_options(self, provider: str) -> None:
        """Refuse GPU options on a provider that would ignore them.

        Raises:
            InputError: such an option was set.
        """
        if self.tf32:
            raise InputError(
                f"got precision {TF32} on {provider}; TF32 is a mode of "
                f"NVIDIA's GPUs: ask for --device cuda or tensorrt"
            )
        changed = [
            name
            for name, field in GpuOptions.model_fields.items()
            if name not in Options.model_fields
            and getattr(self, name) != field.default
        ]
        if changed:
            raise InputError(
                f"got {changed[0]} on {provider}, which has no such option; "
                f"ask for the device cuda or tensorrt"
            )


class OrtSession(Session):
    """A graph under ONNX Runtime.

    The device is cpu, cuda, cuda:1, tensorrt, tensorrt:1 or a provider's own name.

    Attributes:
        placement: on a GPU, the provider of each node of a first run; None on the
            CPU, and for a graph with other free sizes than the batch.
    """

    name = "onnxruntime"
    short = "ort"
    vendor = "onnxruntime"
    extra = "ort"
    devices = ("cpu", "cuda", "cuda:1", "tensorrt")
    Options = OrtOptions

    options: OrtOptions
    placement: Placement | None = None

    @classmethod
    def preference(cls, precision: str) -> Preference:
        """Return the rank of the GPU if this build has its provider and the driver has a GPU, else of the CPU."""
        del precision
        if gpu.is_built_with_cuda(cls.vendor) and gpus.find().gpus:
            name = gpus.find().gpus[0].name
            return Preference("GPU", f"its CUDA provider, {name}", "cuda")
        return Preference("CPU", "on the CPU")

    @classmethod
    def check_device(cls, device: str) -> None:
        """Check that this build of ONNX Runtime has the device's provider.

        Raises:
            DeviceMismatch: it does not.
        """
        provider, _ = _provider_of(device)
        available = import_onnxruntime().get_available_providers()
        if provider not in available:
            raise DeviceMismatch(
                f"onnxruntime: got device {device!r}; "
                f"this build has: {', '.join(available)}"
            )

    @property
    def version(self) -> str:
        """ONNX Runtime's version."""
        return str(import_onnxruntime().__version__)

    def _open(self) -> None:
        onnxruntime = import_onnxruntime()
        self.check_device(self.device)
        provider, number = _provider_of(self.device)
        settings = self._settings(onnxruntime)
        self._bindings: Bindings | None = None
        self._values: dict[str, npt.NDArray[np.generic]] = {}
        if provider in {gpu.CUDA, gpu.TENSORRT}:
            self._open_on_gpu(onnxruntime, provider, number, settings)
            return
        self.options.refuse_gpu_options(provider)
        # Nothing else may hold the graph: it is freed once it is parsed.
        held = [self._content(onnxruntime, settings, self.graph.load())]
        self._session = _open_session(
            onnxruntime, held, settings, [provider], enable_fallback=0
        )
        self._assert_running_on(self._session.get_providers()[0], provider)

    def _settings(self, vendor: Any) -> Any:
        settings = vendor.SessionOptions()
        settings.log_severity_level = _LOG_WARNINGS
        if self.options.threads is not None:
            settings.intra_op_num_threads = self.options.threads
            settings.inter_op_num_threads = 1
        return settings

    def _open_on_gpu(
        self, vendor: Any, provider: str, number: int, settings: Any
    ) -> None:
        """Open and run once; check the node placement in the session's profile."""
        gpu.preload(vendor, provider)
        enforce_tf32(provider, self.options.tf32)
        graph = self.graph.load()
        content = self._content(vendor, settings, graph)
        request = gpu.ProviderRequest(
            provider=provider,
            gpu=number,
            graph=graph,
            inputs=self._inputs_if_needed(vendor, provider, graph),
            options=self.options,
            version=self.version,
        )
        listed = gpu.providers(request)
        if "trt_profile_max_shapes" in listed[0][1]:
            self.largest = self.options.batches[2]
        try:
            self._open_and_profile(vendor, content, settings, request, listed)
        except BaseException:
            gpu.remove_empty_caches(listed)
            raise

    def _open_and_profile(
        self,
        vendor: Any,
        content: bytes,
        settings: Any,
        request: gpu.ProviderRequest,
        listed: gpu.ProviderList,
    ) -> None:
        provider, number = request.provider, request.gpu
        with tempfile.TemporaryDirectory() as folder:
            settings.enable_profiling = True
            settings.profile_file_prefix = str(Path(folder) / "placement")
            self._session = _open_session(
                vendor, [content], settings, listed, enable_fallback=0
            )
            self._assert_running_on(self._session.get_providers()[0], provider)
            self._assert_gpu(provider, number)
            self._bindings = Bindings(
                vendor,
                self._session,
                self._specs()[1],
                ("cuda", number),
                self.options.cuda_graph,
            )
            self._assert_placement(provider)

    def _assert_placement(self, provider: str) -> None:
        """Run once and check the placement of the nodes; then stop profiling."""
        feed = self._example_feed()
        if self._bindings is not None and feed is not None:
            self._bindings.run(feed)
        profile = Path(self._session.end_profiling())
        if feed is not None:
            self.placement = read_placement(profile)
            self.placement.check(self.name, provider)

    def _inputs_if_needed(
        self, vendor: Any, provider: str, graph: GraphContent
    ) -> dict[str, TensorSpec]:
        """Return the graph's inputs if the provider's options depend on shapes."""
        if provider != gpu.TENSORRT and not self.options.cuda_graph:
            return {}
        settings = vendor.SessionOptions()
        settings.log_severity_level = _LOG_WARNINGS
        settings.graph_optimization_level = (
            vendor.GraphOptimizationLevel.ORT_DISABLE_ALL
        )
        content = self._content(vendor, settings, graph)
        session = _open_session(vendor, [content], settings, [gpu.CPU])
        return _specs_of(session.get_inputs())

    def _content(
        self, vendor: Any, settings: Any, graph: GraphContent
    ) -> bytes:
        """Return the graph as bytes.

        Values of a graph above the size limit become initializers, without a copy.
        """
        if graph.fits_in_one_piece:
            return graph.in_one_piece()
        for tensor in graph.tensors:
            self._values[tensor.name] = values_of(tensor, graph.files)
        initializers = [
            vendor.OrtValue.ortvalue_from_numpy(values)
            for values in self._values.values()
        ]
        settings.add_external_initializers(list(self._values), initializers)
        return graph.content

    def _assert_gpu(self, provider: str, number: int) -> None:
        options = self._session.get_provider_options().get(provider, {})
        real = options.get("device_id", "0")
        if str(real) != str(number):
            raise DeviceMismatch(
                f"{self.name}: asked for {self.device!r}, "
                f"but it runs on GPU {real}"
            )
        if number:
            self.running_on = f"{provider}:{number}"

    def _example_feed(self) -> Tensors | None:
        """Return zeros of the typical batch; None if other sizes are free."""
        inputs, batch = self._specs()[0], self.options.batches[1]
        feed: Tensors = {}
        for name, spec in inputs.items():
            if None in spec.shape[1:]:
                return None
            shape = [batch if size is None else size for size in spec.shape]
            feed[name] = np.zeros(shape, dtype=spec.dtype)
        return feed

    def _specs(self) -> tuple[dict[str, TensorSpec], dict[str, TensorSpec]]:
        inputs = _specs_of(self._session.get_inputs())
        return inputs, _specs_of(self._session.get_outputs())

    def _run(self, feed: Mapping[str, npt.NDArray[Any]]) -> Tensors:
        if self._bindings is not None:
            return self._bindings.run(feed)
        names = list(self.outputs)
        outputs = self._session.run(names, dict(feed))
        return dict(zip(names, outputs, strict=True))

    def _close(self) -> None:
        del self._bindings
        del self._session
        self._values.clear()


def _open_session(
    vendor: Any,
    held: list[bytes],
    settings: Any,
    providers: list[Any],
    **more: Any,
) -> Any:
    """Open a session without fallback providers, which need the graph's bytes later."""
    with tempfile.TemporaryDirectory() as empty:
        # All values are in memory; a missed reference must not resolve to a file.
        settings.add_session_config_entry(_FOLDER_OF_VALUES, empty)
        # Do not guess the format from the bytes.
        settings.add_session_config_entry("session.load_model_format", "ONNX")
        session = open_parsed_once(
            vendor, held, settings, providers=providers, **more
        )
    session.disable_fallback()
    # ONNX Runtime keeps a copy of the graph for the fallback only.
    session._model_bytes = b""
    return session


def _provider_of(device: str) -> tuple[str, int]:
    """Return the provider of a device, and the index of its GPU."""
    name, colon, number = device.partition(":")
    provider = _PROVIDERS.get(name.lower(), name)
    if not colon:
        return provider, 0
    if provider in {gpu.CUDA, gpu.TENSORRT} and number.isdecimal():
        return provider, int(number)
    return device, 0


def _specs_of(nodes: list[Any]) -> dict[str, TensorSpec]:
    specs = {}
    for node in nodes:
        sizes = (size if isinstance(size, int) else None for size in node.shape)
        dtype = _TYPES.get(node.type, node.type)
        specs[node.name] = TensorSpec(dtype, tuple(sizes))
    return specs
