"""A runtime that answers zeros: the smallest complete `Session`.

It reads inputs and outputs from the graph with the package `onnx`. A real
runtime passes the same bytes to its vendor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from anomedge.runtimes.base import Session
from anomedge.runtimes.specs import Tensors, TensorSpec

__all__ = ["ZerosSession"]


class ZerosSession(Session):
    """Zeros of the graph's output shapes."""

    name = "zeros"
    short = "zeros"
    vendor = "onnx"

    def _open(self) -> None:
        import onnx  # vendors are imported when a graph is opened

        content = self.graph.load().in_one_piece()
        self._graph = onnx.load_from_string(content).graph
        self._assert_running_on("cpu", self.device)

    def _specs(self) -> tuple[dict[str, TensorSpec], dict[str, TensorSpec]]:
        return _specs_of(self._graph.input), _specs_of(self._graph.output)

    def _run(self, feed: Mapping[str, npt.NDArray[Any]]) -> Tensors:
        batch = len(next(iter(feed.values())))
        return {
            name: np.zeros((batch, *spec.shape[1:]), spec.dtype)
            for name, spec in self.outputs.items()
        }


def _specs_of(values: Any) -> dict[str, TensorSpec]:
    """Return type and shape of ONNX values by name."""
    from onnx import helper

    specs = {}
    for value in values:
        tensor = value.type.tensor_type
        dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        sizes = [
            None if axis.dim_param else axis.dim_value
            for axis in tensor.shape.dim
        ]
        specs[value.name] = TensorSpec(str(dtype), tuple(sizes))
    return specs
