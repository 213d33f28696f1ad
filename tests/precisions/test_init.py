"""Precisions that the export writes, and modes of runtimes."""

from anomedge.precisions import PRECISIONS, written


def test_modes_of_a_runtime_are_not_written():
    assert written().keys() == {
        "fp16",
        "fp16-storage",
        "fp32",
        "int8",
        "int8-storage",
    }
    assert PRECISIONS.names() == sorted({*written(), "bf16", "tf32"})
    assert all(PRECISIONS.get(n) is member for n, member in written().items())
