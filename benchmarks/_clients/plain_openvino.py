"""Decide with the IR and its `rt_info` alone: python plain_openvino.py MODEL.xml MAPS FRAME.png..."""

import sys
from typing import Any

from alone import Client, check_alone, laid_out, read_frame

_SECTION = "anomedge"
_KEYS = (
    "contract",
    "scores",
    "threshold",
    "height",
    "width",
    "colour",
    "values",
    "axes",
)


def main(graph: str, maps: str, *frames: str) -> None:
    """Inspect the frames with bare OpenVINO, in float32."""
    # Without this package, OpenVINO sends no usage statistics.
    modules: dict[str, Any] = sys.modules
    modules["openvino_telemetry"] = None
    import openvino

    core = openvino.Core()
    model = core.read_model(graph)
    contract = {
        key: model.get_rt_info([_SECTION, key]).astype(str) for key in _KEYS
    }
    compiled = core.compile_model(
        model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    (given,) = compiled.inputs
    dtype = given.get_element_type().to_dtype().type
    client = Client(contract, maps)
    for path in frames:
        frame = read_frame(path, client.height, client.width)
        results = compiled([laid_out(frame, contract, dtype)])
        outputs = {
            port.get_any_name(): results[port] for port in compiled.outputs
        }
        client.decide(path, outputs)
    check_alone()


if __name__ == "__main__":
    main(*sys.argv[1:])
