"""Instruction sets, as Linux lists them."""

import pytest

from anomedge.runtimes.processor import adds_byte_products, instruction_sets


@pytest.mark.parametrize(
    ("line", "adds"),
    [
        ("flags\t\t: fpu avx2 avx512_vnni", True),
        ("flags\t\t: avx2 avx_vnni", True),
        ("flags\t\t: avx512f amx_int8", True),
        ("Features\t: fp asimd asimddp", True),
        ("flags\t\t: avx2 fma", False),
        ("model name\t: one with avx512_vnni in its name", False),
    ],
)
def test_products_of_bytes(tmp_path, line, adds):
    path = tmp_path / "cpuinfo"
    path.write_text(f"processor\t: 0\n{line}\n\nprocessor\t: 1\n{line}\n")
    assert adds_byte_products(path) is adds


def test_other_systems_have_no_list(tmp_path):
    assert instruction_sets(tmp_path / "missing") == frozenset()
    assert not adds_byte_products(tmp_path / "missing")
