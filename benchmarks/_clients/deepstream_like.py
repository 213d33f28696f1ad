"""Feed a graph as Gst-nvinfer does, by its configuration file: python deepstream_like.py nvinfer.txt MAPS FRAME.png...

nvinfer computes y = net-scale-factor * (x - offset) on float32 planes in the order of `model-color-format` and attaches
the outputs of `output-blob-names`. ONNX Runtime takes the place of TensorRT. The threshold is that of the graph's
metadata, because the configuration has none.

Reference:
    NVIDIA DeepStream, Gst-nvinfer, "Gst-nvinfer File Configuration Specifications".
"""

import configparser
import os
import sys
from pathlib import Path

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import numpy as np
import numpy.typing as npt
import onnxruntime
from alone import Client, check_alone, read_frame

_PREFIX = "anomedge."
_BGR = 1


def planes(
    frame: npt.NDArray[np.uint8],
    colours: int,
    scale: float,
    offsets: list[float],
) -> npt.NDArray[np.float32]:
    """Return float32 planes (1, 3, H, W) of an RGB frame."""
    ordered = frame[..., ::-1] if colours == _BGR else frame
    shifted = ordered.astype(np.float32) - np.float32(offsets)
    scaled = np.float32(scale) * shifted
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None])


def main(configuration: str, maps: str, *frames: str) -> None:
    """Inspect the frames with the graph that the configuration names."""
    parser = configparser.ConfigParser()
    parser.read(configuration)
    given = parser["property"]
    if given["network-type"] != "100" or given["output-tensor-meta"] != "1":
        raise SystemExit("error: got outputs that nvinfer would interpret")
    _, height, width = map(int, given["infer-dims"].split(";"))
    names = given["output-blob-names"].split(";")
    offsets = [float(each) for each in given["offsets"].split(";")]
    colours = given.getint("model-color-format")
    scale = given.getfloat("net-scale-factor")
    session = onnxruntime.InferenceSession(
        Path(configuration).parent / given["onnx-file"],
        providers=["CPUExecutionProvider"],
    )
    stated = session.get_modelmeta().custom_metadata_map
    contract = {key.removeprefix(_PREFIX): stated[key] for key in stated}
    client = Client(contract, maps)
    (entry,) = session.get_inputs()
    for path in frames:
        frame = read_frame(path, height, width)
        feed = {entry.name: planes(frame, colours, scale, offsets)}
        outputs = session.run(names, feed)
        client.decide(path, dict(zip(names, outputs, strict=True)))
    check_alone()


if __name__ == "__main__":
    main(*sys.argv[1:])
