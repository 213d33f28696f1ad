"""Run OpenVINO's readers and CPU plugin on graphs or IRs in a process of its own, so that a crash ends only this one.

    openvino_worker.py read|compile FILE [FILE ...]

prints one line for each file: the mark, then JSON. It imports nothing of anomedge, to start fast and to run as a file.
"""

import json
import sys
from typing import Any

MARK = "anomedge-lint:"
STARTED = "anomedge-lint-started"


def main(mode: str, paths: list[str]) -> None:
    """Read the files and, in mode "compile", compile them in float32 as the runtime adapter does."""
    # Disable usage statistics as anomedge.runtimes.imports does; a worker does not import anomedge.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import openvino

    sys.stdout.write(f"{STARTED}\n")
    sys.stdout.flush()
    # One core for all files: destroying a second core corrupts the signal stack.
    core = openvino.Core()
    for path in paths:
        sys.stdout.write(
            f"{MARK}{json.dumps(_result(openvino, core, mode, path))}\n"
        )


def _result(openvino: Any, core: Any, mode: str, path: str) -> dict[str, Any]:
    from openvino import properties

    result: dict[str, Any] = {
        "version": openvino.__version__.split("-")[0],
        "steps": [],
        "faults": [],
        "note": "",
    }
    try:
        result["steps"].append("read")
        model = core.read_model(path)
        result["described"] = _described(model)
        if mode == "compile":
            result["steps"].append("compiled")
            core.compile_model(
                model,
                "CPU",
                {properties.hint.inference_precision: openvino.Type.f32},
            )
    except RuntimeError as error:
        result["faults"] = [{"node": "", "op": "", "text": str(error)}]
    return result


def _described(model: Any) -> dict[str, Any]:
    """Describe inputs and operations, limited to the properties that rules read."""
    return {
        "inputs": [
            {"name": port.get_node().get_friendly_name(), "shape": _shape(port)}
            for port in model.inputs
        ],
        "operations": [_operation(node) for node in model.get_ordered_ops()],
    }


def _operation(node: Any) -> dict[str, Any]:
    outputs = [
        {"type": port.get_element_type().get_type_name(), "shape": _shape(port)}
        for port in node.outputs()
    ]
    found = {
        "name": node.get_friendly_name(),
        "type": node.get_type_name(),
        "outputs": outputs,
    }
    if node.get_type_name() == "Interpolate":
        found["antialias"] = bool(node.get_attributes().get("antialias", False))
    return found


def _shape(port: Any) -> list[int | None] | None:
    shape = port.get_partial_shape()
    return (
        None
        if shape.rank.is_dynamic
        else [n.get_length() if n.is_static else None for n in shape]
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
