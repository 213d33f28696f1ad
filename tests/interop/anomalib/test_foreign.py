"""Lines of an import: what was taken, and from where."""

import pytest

from anomedge.interop.anomalib.foreign import Taken, TakenLine


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("file", "size: 8x8 (from the file)"),
        ("table", "size: 8x8 (from the table of defaults)"),
        ("computed", "size: 8x8 (computed)"),
        ("option", "size: 8x8 (from an option)"),
    ],
)
def test_each_line_names_its_source(source, text):
    assert str(TakenLine("size", "8x8", source)) == text


def test_lines_come_in_order_with_values_as_text():
    taken = Taken()
    taken.add("neighbours", 9, "file")
    taken.add("size", (8, 8), "option")
    assert list(taken) == [
        TakenLine("neighbours", "9", "file"),
        TakenLine("size", "(8, 8)", "option"),
    ]
    assert list(Taken()) == []
