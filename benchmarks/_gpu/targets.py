"""Targets of the check: runtimes with their options, and whether this machine supports them."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from anomedge import runtimes
from anomedge.errors import AnomedgeError, InputError

__all__ = [
    "NO_DEVICE",
    "PRECISIONS",
    "TARGETS",
    "Target",
    "missing",
    "probe_graph",
    "unavailable",
]

PRECISIONS = ("fp32", "tf32", "fp16")
NO_DEVICE = "no CUDA device"
_NODES = (
    "/dev/nvidia0",
    "/dev/nvgpu",
    "/dev/nvhost-gpu",
    "/dev/nvmap",
    "/dev/dxg",
)


@dataclass(frozen=True)
class Target:
    """A runtime on a device, as `anomedge.runtimes` names them."""

    label: str
    runtime: str
    device: str


TARGETS = {
    "cuda": (
        Target("ONNX Runtime CUDA", "onnxruntime", "cuda"),
        Target("ONNX Runtime TensorRT", "onnxruntime", "tensorrt"),
        Target("TensorRT", "tensorrt", "cuda"),
        Target("TensorRT-RTX", "rtx", "cuda"),
    ),
    "cpu": (
        Target("ONNX Runtime CPU", "onnxruntime", "cpu"),
        Target("OpenVINO CPU", "openvino", "cpu"),
    ),
}


def missing(device: str) -> str:
    """Return the reason why nothing can run on a device, from the system, without a runtime; empty if there is none."""
    if device != "cuda":
        return ""
    tool = shutil.which("nvidia-smi")
    seen = (
        tool is not None
        and subprocess.run(
            [tool, "-L"], capture_output=True, check=False
        ).returncode
        == 0
    )
    return (
        "" if seen or any(Path(node).exists() for node in _NODES) else NO_DEVICE
    )


def probe_graph(folder: Path) -> Path | None:
    """Return a minimal graph for all runtimes; None if `onnx` is not installed."""
    try:
        from onnx import TensorProto, helper, save
    except ModuleNotFoundError:
        return None
    nodes = [
        helper.make_node("Cast", ["frames"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["cast", "weights"], ["product"]),
        helper.make_node("Relu", ["product"], ["out"]),
    ]
    frames = helper.make_tensor_value_info(
        "frames", TensorProto.UINT8, ["batch", 8, 8, 3]
    )
    out = helper.make_tensor_value_info(
        "out", TensorProto.FLOAT, ["batch", 8, 8, 3]
    )
    weights = helper.make_tensor(
        "weights", TensorProto.FLOAT, [3, 3], [float(n) for n in range(9)]
    )
    graph = helper.make_graph(nodes, "probe", [frames], [out], [weights])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "probe.onnx"
    save(
        helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
        ),
        path,
    )
    return path


def unavailable(target: Target, precision: str, probe: Path | None) -> str:
    """Return the reason why a target cannot open the probe graph; empty if it can.

    A target that opens the probe and then fails with a bundle has failed; one that does not open it is not available.
    """
    try:
        runtimes.get(target.runtime)
        if probe is not None:
            runtimes.open(
                probe,
                runtime=target.runtime,
                device=target.device,
                precision=runtimes.TF32
                if precision == runtimes.TF32
                else "fp32",
            ).close()
        elif precision == runtimes.TF32 and target.device == "cpu":
            raise InputError("a CPU has no TF32")
    except AnomedgeError as error:
        return " ".join(str(error).split())
    return ""
