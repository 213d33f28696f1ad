"""Inputs, outputs and operator sets that a graph's own file states; no vendor is needed.

Call `faults_of_onnx` or `faults_of_ir` first: the readers here expect a file that those accept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from xml.etree import ElementTree as ET

from anomedge.bundle.protobuf import (
    Data,
    Field,
    Spoilt,
    fields,
    read_varint,
)

__all__ = [
    "Interface",
    "Value",
    "interface_of_ir",
    "interface_of_onnx",
    "opsets_of_onnx",
]

_GRAPH, _OPSETS = 7, 8
_INPUTS, _OUTPUTS = 11, 12
_NAME, _TYPE = 1, 2
_TENSOR = 1
_ELEMENT, _SHAPE = 1, 2
_DIMENSION, _SIZE = 1, 1
_DOMAIN, _VERSION = 1, 2
_NOTES = {4}
"""Metadata entries of a value, the only ones that may repeat."""
_LARGEST_SIZE = 2**63 - 1

_ONNX_TYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "str", 9: "bool",
    10: "float16", 11: "float64", 12: "uint32", 13: "uint64",
}  # fmt: skip
_IR_TYPES = {
    "fp16": "float16", "fp32": "float32", "fp64": "float64", "boolean": "bool", "bool": "bool",
    "u8": "uint8", "u16": "uint16", "u32": "uint32", "u64": "uint64",
    "i8": "int8", "i16": "int16", "i32": "int32", "i64": "int64",
}  # fmt: skip
_SINK = "/sink_port_0"


class Value(NamedTuple):
    """An input or output: numpy's name of its type, and its sizes; None stands for any size."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        sizes = ", ".join("?" if n is None else str(n) for n in self.shape)
        return f"{self.name[:60]}: {self.dtype[:20]} ({sizes})"


class Interface(NamedTuple):
    """Inputs and outputs of a graph, in order; an input with a default value is one as well."""

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]


def interface_of_onnx(content: bytes) -> Interface:
    """Return the inputs and outputs that an ONNX file states.

    Raises:
        Spoilt: the bytes are no valid message.
    """
    inputs, outputs = list[Value](), list[Value]()
    for graph in _members(content, _whole(content), _GRAPH):
        for field in fields(content, graph.body, graph.end):
            if field.number == _INPUTS:
                inputs.append(_value(content, field))
            elif field.number == _OUTPUTS:
                outputs.append(_value(content, field))
    return Interface(tuple(inputs), tuple(outputs))


def opsets_of_onnx(content: bytes) -> list[tuple[str, int]]:
    """Return domain and version of each operator set that an ONNX file imports, in order; errors as above."""
    return [
        _opset(content, entry)
        for entry in _members(content, _whole(content), _OPSETS)
    ]


def interface_of_ir(content: bytes) -> Interface:
    """Return the inputs and outputs that the XML file of an OpenVINO IR states, in the order of their layers.

    An output is named as the runtime names it: by its layer, if its tensor has that name, else by its tensor.
    """
    root = ET.fromstring(content.decode())  # noqa: S314 - checked before
    layers = root.findall("layers/layer")
    names = _names_of_ports(layers)
    sources = {
        (edge.get("to-layer"), edge.get("to-port")): (
            edge.get("from-layer"),
            edge.get("from-port"),
        )
        for edge in root.findall("edges/edge")
    }
    inputs, outputs = list[Value](), list[Value]()
    for layer in layers:
        kind = layer.get("type", "").lower()
        if kind == "parameter":
            inputs += _ports(layer, "output", names, {})
        elif kind == "result":
            outputs += _ports(layer, "input", names, sources)
    return Interface(tuple(inputs), tuple(outputs))


_Place = tuple[str | None, str | None]


def _names_of_ports(layers: list[ET.Element]) -> dict[_Place, list[str]]:
    """Return the tensor names of every output port, by layer and port."""
    return {
        (layer.get("id"), port.get("id")): port.get("names", "").split(",")
        for layer in layers
        for port in layer.findall("output/port")
    }


def _ports(
    layer: ET.Element,
    side: str,
    names: dict[_Place, list[str]],
    sources: dict[_Place, _Place],
) -> Iterator[Value]:
    own = layer.get("name", "").removesuffix(_SINK)
    for port in layer.findall(f"{side}/port"):
        place = (layer.get("id"), port.get("id"))
        known = names.get(sources.get(place, place), [""])
        kind = port.get("precision", "none").lower()
        sizes = [int(dim.text or "-1") for dim in port.findall("dim")]
        yield Value(
            own if own in known else known[0],
            _IR_TYPES.get(kind, kind),
            tuple(None if size < 0 else size for size in sizes),
        )


def _whole(content: bytes) -> Field:
    return Field(0, 2, 0, 0, len(content))


def _members(content: Data, message: Field, number: int) -> Iterator[Field]:
    for field in fields(content, message.body, message.end):
        if field.number == number:
            yield field


def _value(content: bytes, message: Field) -> Value:
    """Read an input or output; a value that is no tensor has the type "no tensor"."""
    parts = _once(content, message)
    name = parts.get(_NAME)
    text = content[name.body : name.end] if name else b""
    kind = parts.get(_TYPE)
    tensor = _once(content, kind).get(_TENSOR) if kind else None
    dtype, shape = (
        _tensor(content, tensor) if tensor else ("no tensor", tuple[int]())
    )
    return Value(text.decode(errors="replace"), dtype, shape)


def _tensor(
    content: bytes, message: Field
) -> tuple[str, tuple[int | None, ...]]:
    parts = _once(content, message)
    dtype = "undefined"
    if _ELEMENT in parts:
        number = read_varint(content, parts[_ELEMENT].body, message.end)[0]
        dtype = _ONNX_TYPES.get(number, f"type {number}")
    shape = parts.get(_SHAPE)
    dimensions = _members(content, shape, _DIMENSION) if shape else ()
    return dtype, tuple(_size(content, field) for field in dimensions)


def _size(content: bytes, message: Field) -> int | None:
    size = _once(content, message).get(_SIZE)
    if size is None:
        return None
    number = read_varint(content, size.body, size.end)[0]
    return number if number <= _LARGEST_SIZE else None


def _once(content: bytes, message: Field) -> dict[int, Field]:
    """Return the fields of a message by number.

    Raises:
        Spoilt: a field occurs twice; parsers merge or replace such fields, each in its own way.
    """
    found: dict[int, Field] = {}
    for field in fields(content, message.body, message.end):
        if field.number in found and field.number not in _NOTES:
            raise Spoilt(f"a repeated field at byte {field.start}")
        found[field.number] = field
    return found


def _opset(content: bytes, message: Field) -> tuple[str, int]:
    parts = _once(content, message)
    domain, version = parts.get(_DOMAIN), parts.get(_VERSION)
    return (
        content[domain.body : domain.end].decode(errors="replace")
        if domain
        else "",
        read_varint(content, version.body, version.end)[0] if version else 0,
    )
