"""Whether the graphs of a half precision hold float16: a float32 graph is slower and larger than its name says."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree as ET

from anomedge.bundle import Bundle
from anomedge.bundle.operators import faults_of_ir, faults_of_onnx
from anomedge.bundle.protobuf import LENGTHS, Field, fields, read_varint
from anomedge.parity.records import CheckResult
from anomedge.precisions import PRECISIONS

__all__ = ["HALF", "check_half", "is_half"]

HALF = "float16"
"""Name of the check."""

_GRAPH, _CONSTANT, _TYPE, _FLOAT16 = 7, 5, 2, 10
_IR = ".xml"


def is_half(precision: str) -> bool:
    """Return True if the graphs of this precision have networks in float16.

    A precision that only stores large tensors in float16 may find none that is large enough.
    """
    return PRECISIONS.members()[precision].half_networks


def check_half(
    bundle: Bundle, precision: str, runtime: str
) -> Iterator[CheckResult]:
    """Yield the check of a half precision's graphs; it names those without a constant in float16."""
    if not is_half(precision):
        return
    names = bundle.variant(precision).files()
    without = [n for n in names if not _holds_half(n, bundle.read(n))]
    wrong = f"no constant in float16 in {', '.join(without[:5])}"
    yield CheckResult(
        runtime=runtime,
        kind="contract",
        name=HALF,
        detail=wrong if without else "",
        passed=not without,
    )


def _holds_half(name: str, content: bytes) -> bool:
    """Whether a graph has a constant in float16; a file that is not valid has none."""
    if name.endswith(_IR):
        return not any(faults_of_ir(content)) and _ir_holds_half(content)
    return not any(faults_of_onnx(content)) and _onnx_holds_half(content)


def _onnx_holds_half(content: bytes) -> bool:
    whole = Field(0, LENGTHS, 0, 0, len(content))
    return any(
        read_varint(content, kind.body, kind.end)[0] == _FLOAT16
        for graph in _parts(content, whole, _GRAPH)
        for constant in _parts(content, graph, _CONSTANT)
        for kind in _parts(content, constant, _TYPE)
    )


def _parts(content: bytes, message: Field, number: int) -> Iterator[Field]:
    for field in fields(content, message.body, message.end):
        if field.number == number:
            yield field


def _ir_holds_half(content: bytes) -> bool:
    root = ET.fromstring(content.decode())  # noqa: S314 - checked before
    return any(data.get("element_type") == "f16" for data in root.iter("data"))
