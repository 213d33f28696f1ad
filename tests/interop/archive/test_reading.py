"""Files that torch.save writes are read as torch.load reads them."""

import io
import warnings
from collections import Counter, OrderedDict, defaultdict

import hypothesis
import pytest
import torch
from hypothesis import strategies as st

from anomedge.errors import ModelError
from anomedge.files import sha256_of_file
from anomedge.interop.archive import Record, open_archive
from tests.interop.archive.making import content_of

PROTOCOLS = (2, 3, 4, 5)
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

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**2000), 2**2000),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(max_size=300),
)
keys = st.one_of(
    st.integers(), st.text(max_size=5), st.tuples(st.integers(), st.text())
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
        st.dictionaries(keys, inner, max_size=4).map(OrderedDict),
        st.sets(keys, max_size=4),
        st.frozensets(keys, max_size=4),
    ),
    max_leaves=12,
)


def saved(value, path, protocol=2):
    torch.save(value, path, pickle_protocol=protocol)
    return path


def bits(tensor):
    return tensor.contiguous().reshape(-1).view(torch.uint8)


@hypothesis.settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(values, st.sampled_from(PROTOCOLS))
def test_plain_values_are_those_that_were_saved(tmp_path, value, protocol):
    assert content_of(saved(value, tmp_path / "file.pt", protocol)) == value


@hypothesis.settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(values)
def test_plain_values_are_those_of_torchs_own_reader(tmp_path, value):
    path = saved({"value": value}, tmp_path / "file.pt")
    try:
        expected = torch.load(path, weights_only=True)
    except Exception:  # noqa: BLE001 - it refuses frozensets and large integers
        hypothesis.reject()
    assert content_of(path) == expected


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


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_tensors_of_every_protocol(tmp_path, protocol):
    weight = torch.rand(3, 4)
    path = saved({"weight": weight}, tmp_path / "file.pt", protocol)
    with open_archive(path) as archive:
        assert torch.equal(archive.content["weight"].load(), weight)


def test_a_module_is_inert_records_with_its_tensors(tmp_path):
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU())
    with open_archive(saved(module, tmp_path / "file.pt")) as archive:
        content = archive.content
        assert isinstance(content, Record)
        assert content.path == "torch.nn.modules.container.Sequential"
        linear = content.state["_modules"]["0"]
        assert linear.path == "torch.nn.modules.linear.Linear"
        assert linear.state["out_features"] == 4
        weight = linear.state["_parameters"]["weight"].load()
    assert torch.equal(weight, module[0].weight.data)


def test_containers_of_the_standard_library_are_plain(tmp_path):
    given = {
        "counter": Counter("aab"),
        "default": defaultdict(list, {1: [2]}),
        "size": torch.Size([2, 3]),
        "bytes": bytearray(b"\xff\x00"),
        "empty": b"",
    }
    content = content_of(saved(given, tmp_path / "file.pt"))
    assert content == given | {"size": (2, 3), "bytes": b"\xff\x00"}
    assert type(content["counter"]) is type(content["default"]) is dict


def test_names_that_are_not_called_are_marked(tmp_path):
    content = content_of(saved([torch.float16, OSError], tmp_path / "file.pt"))
    assert [record.path for record in content] == [
        "torch.float16",
        "exceptions.OSError",  # its name in Python 2, as protocol 2 writes it
    ]
    assert not any(record.called for record in content)


def test_tensors_of_one_storage_share_it(tmp_path):
    whole = torch.arange(12.0).reshape(3, 4)
    path = saved([whole, whole[1], whole], tmp_path / "file.pt")
    with open_archive(path) as archive:
        first, row, again = archive.content
        assert first is again
        assert first.storage is row.storage
        assert torch.equal(row.load(), whole[1])


def test_attributes_of_a_tensor_are_dropped(tmp_path):
    made = torch.ones(2)
    made.note = "kept by torch"
    with open_archive(saved(made, tmp_path / "file.pt")) as archive:
        assert torch.equal(archive.content.load(), torch.ones(2))


def test_a_file_without_checksums_is_read(tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        path = saved([torch.ones(3)], tmp_path / "file.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    with open_archive(path) as archive:
        assert torch.equal(archive.content[0].load(), torch.ones(3))


def test_the_digest_is_that_of_the_file(tmp_path):
    path = saved([1], tmp_path / "file.pt")
    with open_archive(path) as archive:
        assert archive.digest == sha256_of_file(path)


def test_a_cycle_is_kept(tmp_path):
    given = [1]
    given.append({"self": given})
    content = content_of(saved(given, tmp_path / "file.pt"))
    assert content[1]["self"] is content


def test_a_tensor_is_not_read_after_the_block(tmp_path):
    with open_archive(saved([torch.ones(2)], tmp_path / "f.pt")) as archive:
        stored = archive.content[0]
    with pytest.raises(ModelError, match="closed; load tensors before"):
        stored.load()


def test_errors_of_the_block_are_passed_on(tmp_path):
    path = saved([1], tmp_path / "file.pt")
    with pytest.raises(OSError, match="own"), open_archive(path):
        raise OSError("own")


def test_sparse_tensors_are_records(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = saved(torch.eye(2).to_sparse(), tmp_path / "file.pt")
    assert content_of(path).path == "torch._utils._rebuild_sparse_tensor"


def test_quantised_tensors_are_records(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)
        path = saved(made, tmp_path / "file.pt")
    content = content_of(path)
    assert content.path == "torch._utils._rebuild_qtensor"
    assert content.args[0].path == "torch.QInt8Storage"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "got 0 bytes|begins with"),
        (b"\x93NUMPY", "expected a zip file written by torch.save"),
        (b"\0" * 257 + b"ustar", "tar file of torch 0.1"),
        (b"\x80\x02}.", "without a zip file around it"),
    ],
)
def test_other_formats_are_refused_by_name(tmp_path, content, said):
    (tmp_path / "file.pt").write_bytes(content)
    with pytest.raises(ModelError, match=said):
        content_of(tmp_path / "file.pt")


def test_the_format_before_zip_is_refused_by_name(tmp_path):
    buffer = io.BytesIO()
    torch.save([1], buffer, _use_new_zipfile_serialization=False)
    (tmp_path / "file.pt").write_bytes(buffer.getvalue())
    with pytest.raises(ModelError, match=r"torch before 1\.6"):
        content_of(tmp_path / "file.pt")


def test_folders_and_missing_files_are_refused(tmp_path):
    with pytest.raises(ModelError, match="a folder"):
        content_of(tmp_path)
    with pytest.raises(ModelError, match="No such file"):
        content_of(tmp_path / "file.pt")


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
