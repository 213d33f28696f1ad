"""Metadata of graphs: properties of an ONNX file, `rt_info` of an IR.

Programs use them to prepare the input and to interpret the outputs; the computation does not depend on them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from xml.etree import ElementTree as ET

from anomedge.bundle.graph_contract import SECTION
from anomedge.bundle.protobuf import LENGTHS, Field, fields

__all__ = ["IrMetadata", "metadata_of_ir", "properties_of_onnx"]

_PROPERTIES, _KEY, _VALUE = 14, 1, 2


class IrMetadata(NamedTuple):
    """Metadata of an IR: entries of `rt_info/model_info` and `rt_info/anomedge` by name, and the layouts of the inputs, joined."""

    model_info: dict[str, str]
    input_layout: str
    contract: dict[str, str]


def properties_of_onnx(content: bytes) -> dict[str, str]:
    """Return the properties of an ONNX file by key; the values of a repeated key are joined.

    Raises:
        Spoilt: the bytes are no valid message.
    """
    pairs = []
    for field in fields(content, 0, len(content)):
        if (field.number, field.wire) == (_PROPERTIES, LENGTHS):
            texts = {_KEY: "", _VALUE: ""}
            for part in fields(content, field.body, field.end):
                texts[part.number] = _text(content, part)
            pairs.append((texts[_KEY], texts[_VALUE]))
    return _joined(pairs)


def metadata_of_ir(content: bytes) -> IrMetadata:
    """Return the metadata of an IR; the values of a repeated entry, or of nested ones, are joined.

    Call `anomedge.bundle.operators.faults_of_ir` first: it bounds the size and refuses entities.
    """
    root = ET.fromstring(content.decode())  # noqa: S314 - checked before
    layouts = root.findall("layers/layer[@type='Parameter']//attribute")
    named = [note for note in layouts if note.get("name") == "layout"]
    return IrMetadata(
        _entries(root, "model_info"),
        "; ".join(note.get("layout", "") for note in named),
        _entries(root, SECTION),
    )


def _entries(root: ET.Element, section: str) -> dict[str, str]:
    notes = root.findall(f"rt_info/{section}/*")
    return _joined((note.tag, " ".join(_values(note.iter()))) for note in notes)


def _values(notes: Iterable[ET.Element]) -> Iterable[str]:
    return (note.get("value", "") for note in notes)


def _text(content: bytes, field: Field) -> str:
    return content[field.body : field.end].decode(errors="replace")


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in pairs:
        found[key] = f"{found[key]}; {value}" if key in found else value
    return found
