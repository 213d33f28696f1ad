"""DeepStream: a configuration of Gst-nvinfer, which attaches the raw outputs to each frame.

nvinfer feeds float32 planes of the frame's size, y = net-scale-factor * (x - offset), and has no BOOL. Network type 100 and
`output-tensor-meta` leave the outputs as they are. Engines are written beside the ONNX file, so the graph is copied.

Reference:
    NVIDIA DeepStream, Gst-nvinfer, "Gst-nvinfer File Configuration Specifications".
"""

from __future__ import annotations

from pathlib import Path

from anomedge.errors import InputError
from anomedge.serving.base import Server
from anomedge.serving.graph import ServedGraph

__all__ = ["DeepStream"]

_COLOURS = {"RGB": 0, "BGR": 1}
_ANY_OUTPUT, _FLOAT32, _WHOLE_FRAMES = 100, 0, 1


class DeepStream(Server):
    """Gst-nvinfer, on float32 graphs of the layouts of planes."""

    name = "deepstream"
    summary = "nvinfer.txt for Gst-nvinfer; needs a layout nchw-*"
    layouts = ("nchw-rgb-255", "nchw-rgb-1", "nchw-bgr-255", "nchw-bgr-1")

    @classmethod
    def write(cls, graph: ServedGraph, folder: Path) -> None:
        """Write `nvinfer.txt` beside a copy of the graph."""
        if graph.precision != "fp32":
            raise InputError(
                f"got precision {graph.precision} for deepstream; expected fp32: nvinfer builds engines by flags, which would "
                f"lower other parts of the graph as well"
            )
        graph.copy_onnx(folder)
        lines = [f"{key}={value}" for key, value in _properties(graph).items()]
        text = "\n".join(["[property]", *lines])
        (folder / "nvinfer.txt").write_text(_HEAD + text + "\n")


_HEAD = """\
# Raw score and map of each frame are in NvDsInferTensorMeta, in the order of output-blob-names.
# Decide with the contract in the ONNX file's metadata (anomedge.threshold and others): engines do not have it.
# TensorRT computes in TF32 unless the environment has NVIDIA_TF32_OVERRIDE=0; the proof is about float32.
# Frames of another size are scaled by nvinfer, outside the proof: set the size of nvstreammux to infer-dims.
"""


def _properties(graph: ServedGraph) -> dict[str, object]:
    batch = graph.largest if graph.is_dynamic else graph.shape(1)[0]
    file = graph.onnx_file()
    return {
        "gpu-id": 0,
        "gie-unique-id": 1,
        "process-mode": _WHOLE_FRAMES,
        "onnx-file": file,
        "model-engine-file": f"{file}_b{batch}_gpu0_fp32.engine",
        "batch-size": batch,
        "network-mode": _FLOAT32,
        "network-type": _ANY_OUTPUT,
        "output-tensor-meta": 1,
        "output-blob-names": ";".join(each.name for each in graph.outputs),
        "infer-dims": ";".join(map(str, graph.shape(1)[1:])),
        "model-color-format": _COLOURS[graph.layout.colour],
        "net-scale-factor": repr(graph.layout.values[1] / 255),
        "offsets": "0;0;0",
        "maintain-aspect-ratio": 0,
    }
