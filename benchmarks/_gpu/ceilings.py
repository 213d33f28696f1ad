"""Measure the peak rates of a machine: products in each precision, copies on the device, copies to the device.

Uses torch if it supports the device, otherwise ONNX Runtime. A ceiling is the best of several repeats.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["measure"]

_REPEATS, _CALLS = 5, 10
_SIDES = {"cuda": 4096, "cpu": 512}
_BYTES = {"cuda": 256 << 20, "cpu": 16 << 20}


def measure(device: str) -> dict[str, Any]:
    """Return operations per second by precision, and bytes per second on the device (read and written) and to it; None if unknown."""
    reasons = []
    for through in (_with_torch, _with_onnxruntime):
        try:
            return through(device, _SIDES[device], _BYTES[device])
        except Exception as error:  # noqa: BLE001 - either may be absent or broken; the report says how
            reasons.append(
                f"{through.__name__[6:]}: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
            )
    return {
        "through": "",
        "reason": "; ".join(reasons),
        "flops": {},
        "bytes": None,
        "to_device": None,
    }


def _with_torch(device: str, side: int, size: int) -> dict[str, Any]:
    import torch

    def seconds(call: Callable[[], Any]) -> float:
        return _best(
            call, torch.cuda.synchronize if device == "cuda" else lambda: None
        )

    if device == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("torch sees no CUDA device")
    flops = {}
    allowed = torch.backends.cuda.matmul.allow_tf32
    for precision in (
        ("fp32", "tf32", "fp16") if device == "cuda" else ("fp32",)
    ):
        torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
        dtype = torch.float16 if precision == "fp16" else torch.float32
        left, right = (
            torch.rand(side, side, device=device, dtype=dtype) for _ in range(2)
        )
        out = torch.empty_like(left)
        flops[precision] = (
            2
            * side**3
            / seconds(lambda a=left, b=right, o=out: torch.mm(a, b, out=o))
        )
    torch.backends.cuda.matmul.allow_tf32 = allowed
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target, host = (
        torch.empty_like(source),
        torch.zeros(size, dtype=torch.uint8),
    )
    to_device = (
        size / seconds(lambda: target.copy_(host)) if device == "cuda" else None
    )
    through = f"torch {torch.__version__}"
    return {
        "through": through,
        "flops": flops,
        "bytes": 2 * size / seconds(lambda: target.copy_(source)),
        "to_device": to_device,
    }


def _with_onnxruntime(device: str, side: int, size: int) -> dict[str, Any]:
    from onnx import TensorProto, helper

    from anomedge.runtimes.imports import import_onnxruntime

    onnxruntime = import_onnxruntime()
    types = {
        "fp32": TensorProto.FLOAT,
        "tf32": TensorProto.FLOAT,
        "fp16": TensorProto.FLOAT16,
    }
    flops = {}
    for precision in types if device == "cuda" else ("fp32",):
        graph = _graph(helper, "MatMul", types[precision], [side, side], 2)
        flops[precision] = (
            2
            * side**3
            / _of_graph(onnxruntime, graph, device, precision, [side, side], 2)
        )
    shape = [size // 4 // 1024, 1024]
    # A copy that no optimiser takes away: as many bytes read as written.
    seconds = _of_graph(
        onnxruntime,
        _graph(helper, "Neg", TensorProto.FLOAT, shape, 1),
        device,
        "fp32",
        shape,
        1,
    )
    return {
        "through": f"onnxruntime {onnxruntime.__version__}",
        "flops": flops,
        "bytes": 2 * size / seconds,
        "to_device": _to_device(onnxruntime, size)
        if device == "cuda"
        else None,
    }


def _graph(
    helper: Any, operator: str, kind: int, shape: list[int], inputs: int
) -> bytes:
    names = [f"in{i}" for i in range(inputs)]
    values = [
        helper.make_tensor_value_info(name, kind, shape)
        for name in (*names, "out")
    ]
    graph = helper.make_graph(
        [helper.make_node(operator, names, ["out"])],
        operator,
        values[:-1],
        values[-1:],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    return bytes(model.SerializeToString())


def _of_graph(
    vendor: Any,
    graph: bytes,
    device: str,
    precision: str,
    shape: list[int],
    inputs: int,
) -> float:
    """Return the seconds per run, with all buffers on the device."""
    if hasattr(vendor, "preload_dlls") and device == "cuda":
        vendor.preload_dlls()
    name = {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}[
        device
    ]
    settings = (
        {"use_tf32": str(int(precision == "tf32"))} if device == "cuda" else {}
    )
    session = vendor.InferenceSession(
        graph, providers=[(name, settings)], enable_fallback=0
    )
    if session.get_providers()[0] != name:
        raise RuntimeError(
            f"asked for {name}, got {session.get_providers()[0]}"
        )
    dtype: Any = np.float16 if precision == "fp16" else np.float32
    binding = session.io_binding()
    for i in range(inputs):
        value = vendor.OrtValue.ortvalue_from_shape_and_type(
            shape, dtype, device, 0
        )
        value.update_inplace(
            np.random.default_rng(i)
            .random(shape, dtype=np.float32)
            .astype(dtype)
        )
        binding.bind_ortvalue_input(f"in{i}", value)
    out = vendor.OrtValue.ortvalue_from_shape_and_type(shape, dtype, device, 0)
    binding.bind_ortvalue_output("out", out)
    # No separate wait: a run returns after the device is done.
    return _best(lambda: session.run_with_iobinding(binding), lambda: None)


def _to_device(vendor: Any, size: int) -> float:
    host = np.zeros(size, dtype=np.uint8)
    value = vendor.OrtValue.ortvalue_from_shape_and_type(
        [size], np.uint8, "cuda", 0
    )
    return size / _best(lambda: value.update_inplace(host), lambda: None)


def _best(call: Callable[[], Any], wait: Callable[[], Any]) -> float:
    call()
    wait()
    found = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        for _ in range(_CALLS):
            call()
        wait()
        found.append((time.perf_counter() - start) / _CALLS)
    return min(found)


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(
        json.dumps(measure(sys.argv[1])), encoding="utf-8"
    )
