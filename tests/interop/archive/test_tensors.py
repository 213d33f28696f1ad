"""Stored tensors: every type and view, bit for bit, and places that cannot be."""

import io
import math

import pytest
import torch

from anomedge.errors import ModelError
from anomedge.interop.archive import open_archive
from anomedge.interop.archive.limits import Refused
from anomedge.interop.archive.members import Member
from anomedge.interop.archive.storages import Storage
from anomedge.interop.archive.tensors import StoredTensor
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


def place(shape, strides, offset=0, dtype=torch.float32, size=24):
    """A tensor on the numbers 0 to 5."""
    content = torch.arange(6, dtype=torch.float32).numpy().tobytes()
    member = Member("archive/data/0", 0, size, 0)
    stored = Storage(io.BytesIO(content), member)
    return StoredTensor(stored, dtype, shape, strides, offset)


@pytest.mark.parametrize(
    ("shape", "strides", "offset", "values", "read"),
    [
        ((6,), (1,), 0, [0, 1, 2, 3, 4, 5], 24),
        ((2, 3), (3, 1), 0, [[0, 1, 2], [3, 4, 5]], 24),
        ((3, 2), (1, 3), 0, [[0, 3], [1, 4], [2, 5]], 24),
        ((2,), (2,), 1, [1, 3], 12),
        ((2, 2), (0, 1), 4, [[4, 5], [4, 5]], 8),
        ((), (), 5, 5, 4),
        ((0, 3), (9, 9), 6, [], 0),
    ],
)
def test_places_in_a_storage(shape, strides, offset, values, read):
    made = place(shape, strides, offset)
    assert made.bytes_read == read
    assert made.nbytes == 4 * math.prod(shape)
    loaded = made.load()
    assert loaded.shape == shape
    assert loaded.tolist() == values
    assert loaded.is_contiguous()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (((7,), (1,)), "reaches to byte 28"),
        (((2, 2), (5, 1)), "reaches to byte 28"),
        (((1,), (1,), 6), "reaches to byte 28"),
        (((1 << 40,), (0,)), "expands a storage of 24 bytes"),
        (((2,), ()), "has 0 strides"),
        (([2], (1,)), "shape are no tuple"),
        (((-1,), (1,)), "shape contain a value"),
        (((True,), (1,)), "shape contain a value"),
        (((1,), (1 << 49,)), "strides contain a value"),
        (((1,), (1,), 1.0), "offset contain a value"),
        (((1,) * 65, (1,) * 65), "no tuple of at most 64"),
    ],
)
def test_places_that_cannot_be_are_refused(given, said):
    with pytest.raises(Refused, match=said):
        place(*given)


def test_a_small_tensor_may_expand_its_storage():
    assert place((1 << 18,), (0,), 3).load().unique().tolist() == [3]
    with pytest.raises(Refused, match="expands"):
        place(((1 << 18) + 1,), (0,), 3)


def test_a_tensor_is_printed_without_its_values():
    assert repr(place((2, 3), (3, 1))) == "<StoredTensor torch.float32 [2, 3]>"
