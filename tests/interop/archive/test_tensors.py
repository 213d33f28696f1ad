"""Stored tensors: every type and view, bit for bit, and places that cannot be."""

import pytest
import torch

from anomedge.errors import ModelError
from anomedge.interop.archive import open_archive
from tests.interop.archive.making import content_of
from tests.interop.archive.saving import saved


def test_booleans_other_than_0_and_1_are_refused(tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save([torch.tensor([True] * 99)], tmp_path / "file.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    content = (tmp_path / "file.pt").read_bytes()
    changed = content.replace(b"\1" * 99, b"\1" * 98 + b"\7")
    (tmp_path / "file.pt").write_bytes(changed)
    with (
        open_archive(tmp_path / "file.pt") as archive,
        pytest.raises(ModelError, match="bytes other than 0 and 1"),
    ):
        archive.content[0].load()


DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex128, torch.complex64, torch.complex32,
    torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.bool,
    torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz, torch.float8_e8m0fnu,
]  # fmt: skip


VIEWS = {
    "whole": lambda t: t,
    "part": lambda t: t[1:, 1:],
    "transposed": lambda t: t.t(),
    "steps": lambda t: t[::2, ::3],
    "expanded": lambda t: t[:1].expand(4, -1),
    "empty": lambda t: t[:0],
    "scalar": lambda t: t[1, 2],
    "one row": lambda t: t[:, None, 2],
}


def bits(tensor):
    return tensor.contiguous().reshape(-1).view(torch.uint8)


@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("view", VIEWS)
def test_tensors_are_torchs_bit_for_bit(tmp_path, dtype, view):
    made = torch.randint(0, 255, (5, 7 * dtype.itemsize), dtype=torch.uint8)
    whole = (made % 2).bool() if dtype == torch.bool else made.view(dtype)
    path = saved({"tensor": VIEWS[view](whole)}, tmp_path / "file.pt")
    expected = torch.load(path, weights_only=True)["tensor"]
    with open_archive(path) as archive:
        stored = archive.content["tensor"]
        assert (stored.dtype, stored.shape) == (dtype, tuple(expected.shape))
        loaded = stored.load()
    assert loaded.dtype == dtype
    assert loaded.shape == expected.shape
    assert loaded.is_contiguous()
    assert loaded.untyped_storage().nbytes() == stored.nbytes
    assert torch.equal(bits(loaded), bits(expected))


def test_tensors_of_one_storage_share_it(tmp_path):
    whole = torch.arange(12.0).reshape(3, 4)
    path = saved([whole, whole[1], whole], tmp_path / "file.pt")
    with open_archive(path) as archive:
        first, row, again = archive.content
        assert first is again
        assert first.storage is row.storage
        assert torch.equal(row.load(), whole[1])


def test_tensors_with_gaps_count_as_the_bytes_that_are_read(tmp_path):
    """Each view has two elements, and loading it reads the whole storage."""
    base = torch.zeros(1 << 21)
    whole = (1 << 21) - 1
    content = [base.as_strided((2,), (whole,)) for _ in range(17)]
    torch.save(content, tmp_path / "file.pt")
    with pytest.raises(ModelError, match="tensors together"):
        content_of(tmp_path / "file.pt")
    torch.save(content[:8], tmp_path / "fewer.pt")
    assert len(content_of(tmp_path / "fewer.pt")) == 8
