"""Decide with `model.onnx` and its metadata alone: python plain_onnx.py MODEL.onnx MAPS FRAME.png..."""

import os
import sys

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import numpy as np
import onnxruntime
from alone import Client, check_alone, laid_out, read_frame

_TYPES = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32}
_PREFIX = "anomedge."


def main(graph: str, maps: str, *frames: str) -> None:
    """Inspect the frames with bare ONNX Runtime."""
    session = onnxruntime.InferenceSession(
        graph, providers=["CPUExecutionProvider"]
    )
    stated = session.get_modelmeta().custom_metadata_map
    contract = {key.removeprefix(_PREFIX): stated[key] for key in stated}
    (given,) = session.get_inputs()
    names = [output.name for output in session.get_outputs()]
    client = Client(contract, maps)
    for path in frames:
        frame = read_frame(path, client.height, client.width)
        feed = {given.name: laid_out(frame, contract, _TYPES[given.type])}
        outputs = session.run(names, feed)
        client.decide(path, dict(zip(names, outputs, strict=True)))
    check_alone()


if __name__ == "__main__":
    main(*sys.argv[1:])
