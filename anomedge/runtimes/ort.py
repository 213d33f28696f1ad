"""ONNX Runtime. It lists providers it cannot use and falls back silently, so the one asked for is asserted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from anomedge.errors import DeviceMismatch
from anomedge.runtimes._base import Session, Tensors, TensorSpec

__all__ = ["OrtSession"]

_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
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


class OrtSession(Session):
    """A graph under ONNX Runtime; `device` is cpu, cuda, tensorrt or a provider's own name."""

    name = "onnxruntime"
    short = "ort"
    vendor = "onnxruntime"
    extra = "ort"

    @property
    def version(self) -> str:
        """ONNX Runtime's own version."""
        import onnxruntime

        return str(onnxruntime.__version__)

    def _open(self) -> None:
        import onnxruntime

        provider = _PROVIDERS.get(self.options.device.lower(), self.options.device)
        if provider not in onnxruntime.get_available_providers():
            known = ", ".join(onnxruntime.get_available_providers())
            raise DeviceMismatch(f"onnxruntime: got device {self.options.device!r}; this build has: {known}")
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = _WARNINGS
        if self.options.threads is not None:
            settings.intra_op_num_threads = self.options.threads
            settings.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            self.path, settings, providers=[(provider, self._options_of(provider))]
        )
        self._assert_running_on(self._session.get_providers()[0], provider)

    def _options_of(self, provider: str) -> dict[str, str]:
        return {"use_tf32": str(int(self.options.tf32))} if provider == "CUDAExecutionProvider" else {}

    def _specs(self) -> tuple[dict[str, TensorSpec], dict[str, TensorSpec]]:
        return _described(self._session.get_inputs()), _described(self._session.get_outputs())

    def _run(self, feed: Mapping[str, npt.NDArray[Any]]) -> Tensors:
        names = list(self.outputs)
        return dict(zip(names, self._session.run(names, dict(feed)), strict=True))

    def _close(self) -> None:
        del self._session


def _described(nodes: list[Any]) -> dict[str, TensorSpec]:
    return {
        node.name: TensorSpec(
            _TYPES.get(node.type, node.type), tuple(n if isinstance(n, int) else None for n in node.shape)
        )
        for node in nodes
    }
