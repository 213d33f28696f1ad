"""Hostile ONNX files are refused in one line and in little memory, before they are parsed."""

from pathlib import Path

import pytest

from anomedge.bundle.protobuf import LENGTHS, varint
from anomedge.errors import ModelError
from anomedge.interop.anomalib import read_foreign
from anomedge.interop.anomalib.onnx_content import Place, reduced
from tests.interop.anomalib import graphs
from tests.interop.archive.test_hostile_pickles import memory

SIZE = 4 << 20


def part(number, content=b""):
    return varint(number << 3 | LENGTHS) + varint(len(content)) + content


def within(*numbers, content):
    """A message within messages, outermost first, in the graph of a model."""
    for number in reversed((7, *numbers)):
        content = part(number, content)
    return content


def many(number):
    """Empty messages: two bytes each."""
    return part(number) * (SIZE // len(part(number)))


def deep(levels):
    """Graphs within nodes within graphs."""
    content = b""
    for _ in range(levels):
        content = part(1, part(5, part(6, content)))
    return content


FIELDS, BYTES = "over 100000 fields", "over 2 MiB besides the raw values"
OUTPUTS = "expected pred_score and anomaly_map"
BOMBS = {
    "nodes": (within(content=many(1)), FIELDS),
    "attributes": (within(1, content=many(5)), FIELDS),
    "tensors": (within(content=many(5)), FIELDS),
    "references": (within(5, content=many(13)), FIELDS),
    "sizes of an input": (within(11, 2, 1, 2, content=many(1)), FIELDS),
    "texts": (within(1, 5, content=many(9)), FIELDS),
    "functions": (many(25), FIELDS),
    "packed numbers": (within(5, 7, content=b"\x01" * SIZE), BYTES),
    "packed dimensions": (within(5, 1, content=b"\x01" * SIZE), BYTES),
    "text": (within(1, 5, 4, content=b"a" * SIZE), BYTES),
    "numbers that are not read": (
        within(1, 5, 8, content=b"\x01" * SIZE),
        OUTPUTS,
    ),
    "graphs in graphs": (within(content=deep(2000)), OUTPUTS),
    "nodes in graphs in graphs": (
        within(1, 5, 6, 1, 5, 6, content=many(1)),
        OUTPUTS,
    ),
}


def refusal(path):
    """The message of the error that a file gives."""
    with pytest.raises(ModelError) as caught, read_foreign(path):
        pass
    return str(caught.value)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux")
@pytest.mark.parametrize("case", BOMBS)
def test_bombs_are_refused_in_bounds(tmp_path, case):
    content, said = BOMBS[case]
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    message = refusal(path)
    assert memory("VmHWM") - before <= 64 << 20
    assert said in message
    assert "\n" not in message


def test_tensors_of_many_dimensions_are_refused(tmp_path):
    path = tmp_path / "model.onnx"
    dimensions = part(1, b"\x7f" * 200_000)
    path.write_bytes(within(5, content=b"\x10\x01" + dimensions))
    assert "of 200000 dimensions; expected at most 16" in refusal(path)


def test_values_stay_in_the_file(tmp_path):
    path = graphs.write("patchcore", tmp_path / "model.onnx", True)
    size = path.stat().st_size
    with path.open("rb") as file:
        left = reduced(file, size)
    assert len(left) < size / 10


def test_a_place_is_bytes_and_back():
    place = Place(1 << 40, 7)
    assert Place.unpacked(place.packed) == place
