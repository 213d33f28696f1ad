"""Mutations that leave every score as it is: content that no proof would run, and statements that no graph makes."""

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import onnx
from _copies import Copy

__all__ = ["STOWAWAYS"]


def stowaways(copy: Copy, rng: Random) -> None:
    """Apply one to three such mutations; recompute digests. Each must fail a proof."""
    content = copy.manifest()
    for change in rng.sample(_CHANGES, rng.choice([1, 1, 2, 3])):
        change(copy, content, rng)
    copy.sign(content)


def _behind_the_weights(copy: Copy, _: dict[str, Any], rng: Random) -> None:
    name = "openvino/model.bin"
    copy.write(name, copy.read(name) + rng.randbytes(rng.choice([1, 4096])))


def _in_the_graph(copy: Copy, _: dict[str, Any], rng: Random) -> None:
    """Change inputs, outputs or constants of an ONNX file; its nodes stay."""
    name = rng.choice(["model.onnx", "stages.onnx", "segments.onnx"])
    model = onnx.load_from_string(copy.read(name))
    rng.choice([_reordered, _further_output, _optional_input, _unread])(
        model.graph, rng
    )
    copy.write(name, model.SerializeToString())


def _reordered(graph: Any, _: Random) -> None:
    outputs = list(graph.output)
    del graph.output[:]
    graph.output.extend(reversed(outputs))


def _further_output(graph: Any, rng: Random) -> None:
    made = [name for node in graph.node for name in node.output if name]
    known = {value.name for value in graph.output}
    name = rng.choice([name for name in made if name not in known])
    graph.output.append(onnx.helper.make_tensor_value_info(name, 1, None))


def _optional_input(graph: Any, rng: Random) -> None:
    tensor = rng.choice(list(graph.initializer))
    graph.input.append(
        onnx.helper.make_tensor_value_info(
            tensor.name, tensor.data_type, list(tensor.dims)
        )
    )


def _unread(graph: Any, rng: Random) -> None:
    values = np.frombuffer(rng.randbytes(400), np.uint8)
    graph.initializer.append(
        onnx.numpy_helper.from_array(values, f"payload {rng.random()}")
    )


def _cut_graph(copy: Copy, _: dict[str, Any], rng: Random) -> None:
    """Change the graph that the diagnosis runs."""
    model = onnx.load_from_string(copy.read("segments.onnx"))
    node = rng.choice([n for n in model.graph.node if n.op_type == "Add"])
    node.op_type = "Sub"
    copy.write("segments.onnx", model.SerializeToString())


def _opset(_: Copy, content: dict[str, Any], rng: Random) -> None:
    content["opset"] += rng.choice([-1, 1])


def _source(_: Copy, content: dict[str, Any], __: Random) -> None:
    given = content["golden_source"] == "pictures"
    content["golden_source"] = "synthetic" if given else "pictures"


_CHANGES: tuple[Callable[[Copy, dict[str, Any], Random], None], ...] = (
    _behind_the_weights, _in_the_graph, _cut_graph, _opset, _source,
)  # fmt: skip

STOWAWAYS: dict[str, Callable[[Copy, Random], None]] = {
    "signed: stowaways": stowaways
}
"""Kinds of mutation that leave the scores as they are."""
