"""Elements and attributes that the XML file of an OpenVINO IR may have: those that OpenVINO writes for our graphs.

OpenVINO's parser knows no namespaces and reads the last of some repeated elements. Readers with namespaces, or of the first
element, would check another content than it runs. So a file is refused unless both kinds of readers find the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET
from xml.parsers import expat

__all__ = ["NOTES", "faults_of_elements", "faults_of_markup"]

NOTES = "rt_info"
"""Element of notes on the graph, a layer or a port; `anomedge.bundle.notes` checks its content."""

_ONCE, _ANY = "once", "any"
_INNER = {
    "net": {"layers": _ONCE, "edges": _ONCE, NOTES: _ONCE},
    "layers": {"layer": _ANY},
    "layer": {"data": _ONCE, "input": _ONCE, "output": _ONCE, NOTES: _ONCE},
    "data": {},
    "input": {"port": _ANY},
    "output": {"port": _ANY},
    "port": {"dim": _ANY, NOTES: _ONCE},
    "dim": {},
    "edges": {"edge": _ANY},
    "edge": {},
}  # fmt: skip
"""Elements within each element, and how often."""

_ATTRIBUTES = {
    "net": {"name", "version"},
    "layer": {"id", "name", "type", "version", "output_names"},
    "port": {"id", "precision", "names"},
    "edge": {"from-layer", "from-port", "to-layer", "to-port"},
}
"""Attributes of each element but `data`."""

_DATA = frozenset(
    """
    across_channels align_corners alpha antialias approximation_mode auto_broadcast auto_pad axes axis batch_dims
    begin_mask beta bias block_size causal coordinate_transformation_mode cube_coeff depth_mode destination_type
    detect_negative detect_positive dilations element_type ellipsis_mask end_mask eps eps_mode epsilon equation
    exclude-pad exclusive group index_element_type kernel keep_dims levels m_pythondiv max min mode nearest_mode
    negative_indices_mode new_axis_mask normalize_variance num_groups num_splits offset output_padding output_type
    pad_mode padding_mode pads_begin pads_end promote_unsafe pytorch_scalar_promotion reduction reverse rounding_type
    shape shape_calculation_mode shrink_axis_mask size sort special_zero stable strides transpose_a transpose_b
    u64_integer_promotion_target use_init_val
""".split()  # noqa: SIM905 - a list literal would take a line for each name
)
"""Attributes of the layers that a bundle may have. OpenVINO ignores others, which other tools may read as settings."""


def faults_of_markup(content: bytes) -> Iterator[str]:
    """Yield one phrase per kind of markup that no IR has: namespaces, comments, instructions, other encodings, texts.

    Raises:
        expat.ExpatError: the content is no XML without document type.

    >>> list(faults_of_markup(b'<net><rt_info xmlns="x"/></net>'))
    ["has the name 'xmlns' with a namespace, which OpenVINO does not know"]
    """
    markup = _Markup()
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = markup.start
    parser.EndElementHandler = markup.end
    parser.CharacterDataHandler = markup.text
    parser.CommentHandler = markup.comment
    parser.ProcessingInstructionHandler = markup.instruction
    parser.XmlDeclHandler = markup.declaration
    parser.Parse(content, True)
    yield from dict.fromkeys(markup.faults)


class _Markup:
    """Collect the markup that no IR has, as the parser meets it."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self._open: list[str] = []

    def start(self, tag: str, attributes: dict[str, Any]) -> None:
        self._open.append(tag)
        for name in (tag, *attributes):
            if ":" in name or "{" in name or name.lower().startswith("xmlns"):
                self.faults.append(
                    f"has the name {name[:60]!r} with a namespace, which OpenVINO does not know"
                )

    def end(self, tag: str) -> None:
        del tag
        self._open.pop()

    def text(self, text: str) -> None:
        if text.strip() and self._open[-1] != "dim":
            self.faults.append(f"has a text in {self._open[-1][:60]!r}")

    def comment(self, text: str) -> None:
        del text
        self.faults.append("has a comment, which no IR has")

    def instruction(self, target: str, text: str) -> None:
        del text
        self.faults.append(f"has an instruction {target[:60]!r}")

    def declaration(
        self, version: str, encoding: str | None, standalone: int
    ) -> None:
        del version, standalone
        if encoding is not None and encoding.lower() != "utf-8":
            self.faults.append(f"has the encoding {encoding[:60]!r}")


def faults_of_elements(root: ET.Element) -> Iterator[str]:
    """Yield one phrase per element or attribute that is unknown, misplaced or repeated; the content of notes is not read."""
    if root.tag != "net":
        yield f"has root element {root.tag[:60]!r}; expected 'net'"
    waiting = [root]
    while waiting:
        element = waiting.pop()
        yield from _faults_of_attributes(element)
        allowed, seen = _INNER.get(element.tag, {}), set[str]()
        for inner in element:
            tag = inner.tag
            if tag not in allowed:
                yield f"has an unknown element {tag[:60]!r} in {element.tag[:60]!r}, which may hold another graph"
            elif allowed[tag] == _ONCE and tag in seen:
                yield f"has {tag!r} twice in {element.tag!r}; readers take one or the other"
            seen.add(tag)
        waiting += [inner for inner in element if inner.tag != NOTES]


def _faults_of_attributes(element: ET.Element) -> Iterator[str]:
    is_data = element.tag == "data"
    allowed = _DATA if is_data else _ATTRIBUTES.get(element.tag, set())
    if unknown := sorted(set(element.attrib) - allowed):
        yield f"has an unknown attribute {unknown[0][:60]!r} of {element.tag[:60]!r}"
