"""NVIDIA's own parser and builder on graphs, as a program of its own: a vendor's crash ends this process only.

    rtx_worker.py BATCH GRAPH [GRAPH ...]

prints one line of JSON behind the mark for each graph. It imports nothing of anomedge, so that it starts soon and runs as a file.
"""

import json
import sys
from pathlib import Path
from typing import Any

MARK = "anomedge-lint:"
STARTED = "anomedge-lint-started"
_PROTOBUF_LIMIT = 2**31 - 1


def main(batch: int, path: str) -> None:
    """Parse, then build for batches up to `batch`."""
    import tensorrt_rtx as trt

    sys.stdout.write(f"{STARTED}\n")
    sys.stdout.flush()

    class Log(trt.ILogger):  # type: ignore[misc]
        """Keeps what is wrong."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, text: str) -> None:
            if severity <= trt.ILogger.ERROR:
                self.errors.append(text)

    log = Log()
    result: dict[str, Any] = {
        "version": trt.__version__,
        "steps": [],
        "faults": [],
        "note": "",
    }
    builder = trt.Builder(log)
    network, parser, parsed = _parsed(trt, builder, log, path)
    result["faults"] = [
        _fault(parser.get_error(i)) for i in range(parser.num_errors)
    ]
    result["steps"].append("parsed")
    if parsed:
        _build(builder, network, batch, log, result)
    elif not result["faults"]:
        result["faults"] = [
            {"node": "", "op": "", "text": "refused without a reason"}
        ]
    sys.stdout.write(f"{MARK}{json.dumps(result)}\n")


def _parsed(
    trt: Any, builder: Any, log: Any, path: str
) -> tuple[Any, Any, bool]:
    """The network, the parser with its errors, and whether it took the graph; all errors where the file allows it."""
    strong = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(strong)
    parser = trt.OnnxParser(network, log)
    if Path(
        path
    ).stat().st_size <= _PROTOBUF_LIMIT and not parser.supports_model_v2(
        Path(path).read_bytes(), path
    ):
        return network, parser, False
    network = builder.create_network(strong)
    parser = trt.OnnxParser(network, log)
    return network, parser, parser.parse_from_file(path)


def _fault(error: Any) -> dict[str, str]:
    return {
        "node": error.node_name(),
        "op": error.node_operator(),
        "text": error.desc(),
    }


def _build(
    builder: Any, network: Any, batch: int, log: Any, result: dict[str, Any]
) -> None:
    config = builder.create_builder_config()
    inputs = [network.get_input(i) for i in range(network.num_inputs)]
    others = [
        i.name for i in inputs if i.is_shape_tensor or -1 in tuple(i.shape)[1:]
    ]
    if others:
        result["note"] = (
            f"not built: more than the batch of {', '.join(others)} is open"
        )
        return
    profile = builder.create_optimization_profile()
    for given in inputs:
        shape = tuple(given.shape)
        if shape and shape[0] == -1:
            profile.set_shape(
                given.name,
                *((n, *shape[1:]) for n in (1, max(1, batch // 2), batch)),
            )
    config.add_optimization_profile(profile)
    log.errors.clear()
    plan = builder.build_serialized_network(network, config)
    result["steps"].append("built")
    if plan is None:
        result["faults"] = [
            {"node": "", "op": "", "text": text}
            for text in log.errors or ["no engine, no reason"]
        ]
    else:
        result["bytes"] = plan.nbytes


if __name__ == "__main__":
    for graph in sys.argv[2:]:
        main(int(sys.argv[1]), graph)
