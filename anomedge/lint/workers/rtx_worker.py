"""Run NVIDIA's parser and builder on graphs, as a program: a crash ends this process only.

    rtx_worker.py BATCH GRAPH [GRAPH ...]

prints one line of JSON behind the mark for each graph. It does not import
anomedge, so that it starts fast and runs as a file.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

MARK = "anomedge-lint:"
STARTED = "anomedge-lint-started"
_PROTOBUF_LIMIT = 2**31 - 1


def main(batch: int, path: str) -> None:
    """Parse a graph, then build an engine for batches up to `batch`."""
    import tensorrt_rtx as trt

    sys.stdout.write(f"{STARTED}\n")
    sys.stdout.flush()
    errors: list[str] = []
    builder = trt.Builder(_logger(trt, errors))
    network, parser, parsed = _parse(trt, builder, path)
    result: dict[str, Any] = {
        "version": trt.__version__,
        "steps": ["parsed"],
        "faults": [
            _fault(parser.get_error(i)) for i in range(parser.num_errors)
        ],
        "note": "",
    }
    if parsed:
        _build(builder, network, batch, errors, result)
    else:
        result["faults"] = result["faults"] or [
            _unnamed("refused without a reason")
        ]
        _add_capability(path, result["faults"][0])
    sys.stdout.write(f"{MARK}{json.dumps(result)}\n")


def _logger(trt: Any, errors: list[str]) -> Any:
    class Logger(trt.ILogger):  # type: ignore[misc]
        """Append each error to `errors`."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, text: str) -> None:
            if severity <= trt.ILogger.ERROR:
                errors.append(text)

    return Logger()


def _parse(trt: Any, builder: Any, path: str) -> tuple[Any, Any, bool]:
    """Return network, parser and success; report all errors if the file's size allows it."""
    flags = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(flags)
    parser = trt.OnnxParser(network, builder.logger)
    if Path(path).stat().st_size <= _PROTOBUF_LIMIT:
        content = Path(path).read_bytes()
        if not parser.supports_model_v2(content, path):
            return network, parser, False
    network = builder.create_network(flags)
    parser = trt.OnnxParser(network, builder.logger)
    return network, parser, parser.parse_from_file(path)


def _fault(error: Any) -> dict[str, str]:
    return {
        "node": error.node_name(),
        "op": error.node_operator(),
        "text": error.desc(),
    }


def _unnamed(text: str) -> dict[str, str]:
    return {"node": "", "op": "", "text": text}


def _add_capability(path: str, fault: dict[str, str]) -> None:
    """Add Polygraphy's capability report to a fault, if Polygraphy is installed."""
    # Polygraphy reads the variable when it is imported.
    os.environ["POLYGRAPHY_USE_TENSORRT_RTX"] = "1"
    try:
        import polygraphy
        from polygraphy.tools.inspect.subtool.capability import supports_model
    except ImportError:
        return
    try:
        _, groups, _ = supports_model(path)
    except Exception as error:  # noqa: BLE001 - the report is an addition to the fault
        report = f"no report ({error})"
    else:
        count = sum(len(nodes) for nodes, _ in groups)
        report = f"the other {count} nodes parse, in {len(groups)} groups"
    fault["text"] += f"; Polygraphy {polygraphy.__version__}: {report}"


def _build(
    builder: Any,
    network: Any,
    batch: int,
    errors: list[str],
    result: dict[str, Any],
) -> None:
    """Build an engine; add step, faults and size to the result."""
    inputs = [network.get_input(i) for i in range(network.num_inputs)]
    unsupported = [
        given.name
        for given in inputs
        if given.is_shape_tensor or -1 in tuple(given.shape)[1:]
    ]
    if unsupported:
        names = ", ".join(unsupported)
        result["note"] = f"not built: more than the batch of {names} is open"
        return
    config = builder.create_builder_config()
    config.add_optimization_profile(_profile(builder, inputs, batch))
    errors.clear()
    plan = builder.build_serialized_network(network, config)
    result["steps"].append("built")
    if plan is None:
        texts = errors or ["no engine, no reason"]
        result["faults"] = [_unnamed(text) for text in texts]
    else:
        result["bytes"] = plan.nbytes


def _profile(builder: Any, inputs: list[Any], batch: int) -> Any:
    profile = builder.create_optimization_profile()
    batches = (1, max(1, batch // 2), batch)
    for given in inputs:
        shape = tuple(given.shape)
        if shape and shape[0] == -1:
            profile.set_shape(given.name, *((n, *shape[1:]) for n in batches))
    return profile


if __name__ == "__main__":
    for graph in sys.argv[2:]:
        main(int(sys.argv[1]), graph)
