"""Write graphs: ONNX with embedded or external weights, graphs that share the weights of another file, OpenVINO IR."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx

from anomedge.bundle.graph_contract import SECTION
from anomedge.bundle.operators import unlisted_layers
from anomedge.errors import ExportError
from anomedge.export.ir_layout import arrange_for_channels_last
from anomedge.runtimes.imports import import_openvino

__all__ = ["write_ir", "write_onnx", "write_tapped"]

_PROTOBUF_LIMIT = 2**31 - 1
_COUNTED = re.compile(r"[A-Z][A-Za-z0-9]*_\d+")
_SMALL = 1024
"""Largest tensor, in bytes, that stays embedded: shapes and indices, which readers need before the weights."""


def write_onnx(
    proto: onnx.ModelProto, path: Path, *, limit: int = _PROTOBUF_LIMIT
) -> Path:
    """Write a graph, with external weights in `<name>.data` above `limit` bytes; return the file of the weights.

    Above the limit, writing removes the weights from `proto`.

    Ensures: the written file passes `onnx.checker` with shape inference.
    """
    size = sum(len(tensor.raw_data) for tensor in proto.graph.initializer)
    beside = size + (1 << 20) > limit
    holder = path.with_name(path.name + ".data") if beside else path
    if beside:
        onnx.save(
            proto, path, save_as_external_data=True, all_tensors_to_one_file=True, location=holder.name,
            size_threshold=_SMALL, convert_attribute=False,
        )  # fmt: skip
    else:
        onnx.save(proto, path)
    _check(path)
    return holder


def write_tapped(
    tapped: onnx.ModelProto, shipped: Path, holder: Path, path: Path
) -> None:
    """Write a graph that reads the weights of the shipped graph from their file; remove the weights from `tapped`.

    An external tensor of ONNX may be any part of a file in the same folder; here that file is the shipped graph or
    its weights. Therefore a graph of stages, or of another layout, takes a few kilobytes.
    """
    places = _places(shipped, holder)
    for tensor in tapped.graph.initializer:
        if tensor.name in places:
            offset, length = places[tensor.name]
            tensor.ClearField("raw_data")
            del tensor.external_data[:]
            tensor.data_location = onnx.TensorProto.EXTERNAL
            for key, value in (
                ("location", holder.name),
                ("offset", str(offset)),
                ("length", str(length)),
            ):
                tensor.external_data.append(
                    onnx.StringStringEntryProto(key=key, value=value)
                )
    path.write_bytes(tapped.SerializeToString(deterministic=True))
    _check(path)


def write_ir(
    shipped: Path,
    path: Path,
    model_info: Mapping[str, str] | None = None,
    contract: Mapping[str, str] | None = None,
) -> None:
    """Write the graph as OpenVINO IR, uncompressed, with the input and output names of the ONNX graph.

    The IR is arranged for OpenVINO's layout of maps (`ir_layout`); its values are those of the ONNX graph.

    `model_info` is metadata for OpenVINO Model API; with it the input is marked as NCHW, which ONNX cannot express.
    `contract` is the contract that the graph carries.

    Raises:
        ExportError: an operator becomes a layer that a bundle does not take.
    """
    openvino = import_openvino()
    graph = openvino.Core().read_model(shipped)
    _refuse_unlisted_layers(graph)
    arrange_for_channels_last(graph)
    # Metadata copied from the ONNX graph.
    if "framework" in (info := graph.get_rt_info()):
        del info["framework"]
    if model_info:
        graph.get_parameters()[0].set_layout(openvino.Layout("NCHW"))
    sections = {"model_info": model_info, SECTION: contract}
    for section, entries in sections.items():
        for key, value in (entries or {}).items():
            graph.set_rt_info(value, [section, key])
    graph.set_friendly_name("anomedge")
    for place, node in enumerate(graph.get_ordered_ops()):
        # Such a name counts the nodes that this process has made so far.
        if _COUNTED.fullmatch(node.get_friendly_name()):
            node.set_friendly_name(f"{node.get_type_name()}_{place}")
    path.parent.mkdir(exist_ok=True)
    openvino.save_model(graph, path, compress_to_fp16=False)


def _refuse_unlisted_layers(graph: Any) -> None:
    kinds = [node.get_type_name() for node in graph.get_ordered_ops()]
    if unlisted := unlisted_layers(kinds):
        raise ExportError(
            f"the graph becomes layers of type {', '.join(unlisted)} in OpenVINO, which read memory beyond their input "
            f"where an index is out of range, or keep a state; expected others: replace the operation in the module"
        )


def _places(shipped: Path, holder: Path) -> dict[str, tuple[int, int]]:
    """Return offset and length of each large tensor in the file of the weights."""
    graph = onnx.load(shipped, load_external_data=False).graph
    large = [
        tensor
        for tensor in graph.initializer
        if tensor.external_data or len(tensor.raw_data) > _SMALL
    ]
    if holder != shipped:
        entries = {
            t.name: {e.key: e.value for e in t.external_data}
            for t in large
            if t.external_data
        }
        return {
            name: (int(entry["offset"]), int(entry["length"]))
            for name, entry in entries.items()
        }
    content, position, places = shipped.read_bytes(), 0, {}
    for tensor in large:
        # Tensors are written in order, so each is looked for behind the one before.
        position = content.index(tensor.raw_data, position)
        places[tensor.name] = (position, len(tensor.raw_data))
        position += len(tensor.raw_data)
    return places


def _check(path: Path) -> None:
    try:
        onnx.checker.check_model(
            path, full_check=path.stat().st_size < _PROTOBUF_LIMIT
        )
    except (
        onnx.checker.ValidationError,
        onnx.shape_inference.InferenceError,
        ValueError,
    ) as error:
        raise ExportError(
            f"{path.name} is no valid graph: {' '.join(str(error).split())[:400]}"
        ) from error
