"""Notes of graphs that the export does not write: texts and metadata that programs could read and no proof compares.

Metadata of layouts and the contract of the export are compared with the manifest (`anomedge.parity.metadata`), so they are none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree as ET

from anomedge.bundle.graph_contract import SECTION
from anomedge.bundle.protobuf import LENGTHS, Field, fields

__all__ = ["notes_of_ir", "notes_of_onnx"]

_OWN = b"anomedge"
_TEXTS = {2: ("producer_name", _OWN), 3: ("producer_version", b""), 4: ("domain", b"")}  # fmt: skip
"""Texts of an ONNX file by field, with the content that the export writes."""
_PROPERTIES, _GRAPH, _GRAPH_NAME = 14, 7, 2

_MEMBERS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 8: "operator set", _PROPERTIES: "property"},
    "graph": {11: "value", 12: "value"},
    "operator set": {1: "", 2: ""},
    "property": {1: "", 2: ""},
    "value": {1: "", 2: "type"},
    "type": {1: "tensor"},
    "tensor": {1: "", 2: "shape"},
    "shape": {1: "size"},
    "size": {1: "", 2: ""},
}
"""Messages beside nodes and constants, by field; "" stands for a plain value."""
_OPEN = {"model", "graph"}
"""Messages with further fields, which `anomedge.bundle.operators` and `anomedge.bundle.spare` check."""
_REPEATED = {*_OPEN, "shape"}

_VERSION = re.compile(r"[A-Za-z0-9._/ -]{1,128}")
_WRITER = "OpenVINO Runtime"
_OF_LAYERS = {"fused_names", "decompression"}
"""Notes on layers that releases of OpenVINO write; they do not change the computation of a plan in float32."""
_LAYOUT = "layout"
_MODEL_INFO = "model_info"


def notes_of_onnx(
    content: bytes, *, is_layout: bool, has_contract: bool = False
) -> Iterator[str]:
    """Yield one phrase per note of an ONNX file that `faults_of_onnx` accepts; layouts and contracts are properties.

    >>> list(notes_of_onnx(bytes([0x22, 1, 65]), is_layout=False))
    ["has notes: a domain of 1 bytes; expected ''"]
    """
    for field in fields(content, 0, len(content)):
        yield from _fault_of_text(content, field)
        if field.number == _PROPERTIES and not (is_layout or has_contract):
            yield "has notes: properties, which layouts alone have"
    whole = Field(0, LENGTHS, 0, 0, len(content))
    yield from _unknown_members(content, whole, "model")


def notes_of_ir(
    content: bytes, *, is_layout: bool, has_contract: bool = False
) -> Iterator[str]:
    """Yield one phrase per note in an IR that `faults_of_ir` accepts; `model_info` and layouts of ports are a layout's alone.

    >>> list(notes_of_ir(b"<net><rt_info><runtime_options/></rt_info></net>", is_layout=True))
    ["has notes: 'runtime_options' in rt_info"]
    """
    root = ET.fromstring(content.decode())  # noqa: S314 - checked by `faults_of_ir`
    allowed = {_MODEL_INFO: is_layout, SECTION: has_contract}
    seen = set[str]()
    for note in root.findall("rt_info/*"):
        if allowed.get(note.tag):
            yield from _faults_of_section(note)
            if note.tag in seen:
                yield f"has notes: {note.tag} twice"
            seen.add(note.tag)
        elif not _is_of_writer(note):
            named = note.get("name", note.tag)[:60]
            yield f"has notes: {named!r} in rt_info"
    known = _OF_LAYERS | ({_LAYOUT} if is_layout else set[str]())
    for note in root.findall("layers//rt_info/*"):
        name = note.get("name", "")
        if note.tag != "attribute" or name not in known or len(note):
            yield f"has notes: {(name or note.tag)[:60]!r} of a layer"


def _fault_of_text(content: bytes, field: Field) -> Iterator[str]:
    name, wanted = _TEXTS.get(field.number, ("", b""))
    if name and content[field.body : field.end] != wanted:
        size = field.end - field.body
        yield f"has notes: a {name} of {size} bytes; expected {wanted.decode()!r}"
    if field.number == _GRAPH:
        for part in fields(content, field.body, field.end):
            found = content[part.body : part.end]
            if part.number == _GRAPH_NAME and found != _OWN:
                yield f"has notes: a name of {len(found)} bytes; expected {_OWN.decode()!r}"


def _unknown_members(
    content: bytes, message: Field, kind: str
) -> Iterator[str]:
    """Yield one phrase per field of an input, output, property or operator set that is unknown or repeated."""
    members, seen = _MEMBERS[kind], set[int]()
    for field in fields(content, message.body, message.end):
        inner = members.get(field.number)
        if inner is None:
            # Writers leave an empty text where there is no description.
            if kind not in _OPEN and field.end > field.body:
                yield f"has notes: field {field.number} of a {kind}"
        elif kind not in _REPEATED and field.number in seen:
            yield f"has notes: field {field.number} of a {kind} twice"
        elif inner and field.wire == LENGTHS:
            yield from _unknown_members(content, field, inner)
        seen.add(field.number)


def _is_of_writer(note: ET.Element) -> bool:
    """Whether a note is the one of OpenVINO's release."""
    return (
        note.tag == "info"
        and set(note.attrib) == {"name", "value"}
        and note.get("name") == _WRITER
        and _VERSION.fullmatch(note.get("value", "")) is not None
        and not len(note)
    )


def _faults_of_section(section: ET.Element) -> Iterator[str]:
    """Yield one phrase per entry that is repeated, nested or more than a value."""
    seen = set[str]()
    if section.attrib:
        yield f"has notes: attributes of {section.tag}"
    for entry in section:
        name = entry.tag[:60]
        if len(entry) or set(entry.attrib) != {"value"}:
            yield f"has notes: {name!r} in {section.tag} is no plain value"
        if entry.tag in seen:
            yield f"has notes: {name!r} in {section.tag} twice"
        seen.add(entry.tag)
