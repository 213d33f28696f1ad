"""Files that torch.save writes are read as torch.load reads them."""

import zipfile
from collections import OrderedDict

import hypothesis
import pytest
import torch
from hypothesis import strategies as st

from anomedge.errors import ModelError
from anomedge.files import sha256_of_file
from anomedge.interop.archive import open_archive
from tests.interop.archive.making import content_of, write_archive
from tests.interop.archive.saving import saved
from tests.interop.archive.zips import PICKLE, refused

PROTOCOLS = (2, 3, 4, 5)

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


@hypothesis.settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[
        hypothesis.HealthCheck.function_scoped_fixture,
        hypothesis.HealthCheck.too_slow,
    ],
)
@hypothesis.given(values, st.sampled_from(PROTOCOLS))
def test_plain_values_are_those_that_were_saved(tmp_path, value, protocol):
    assert content_of(saved(value, tmp_path / "file.pt", protocol)) == value


@hypothesis.settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[
        hypothesis.HealthCheck.function_scoped_fixture,
        hypothesis.HealthCheck.too_slow,
    ],
)
@hypothesis.given(values)
def test_plain_values_are_those_of_torchs_own_reader(tmp_path, value):
    path = saved({"value": value}, tmp_path / "file.pt")
    try:
        expected = torch.load(path, weights_only=True)
    except Exception:  # noqa: BLE001 - it refuses frozensets and large integers
        hypothesis.reject()
    assert content_of(path) == expected


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_tensors_of_every_protocol(tmp_path, protocol):
    weight = torch.rand(3, 4)
    path = saved({"weight": weight}, tmp_path / "file.pt", protocol)
    with open_archive(path) as archive:
        assert torch.equal(archive.content["weight"].load(), weight)


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


def test_errors_of_the_block_are_passed_on(tmp_path):
    path = saved([1], tmp_path / "file.pt")
    with pytest.raises(OSError, match="own"), open_archive(path):
        raise OSError("own")


def test_folders_and_missing_files_are_refused(tmp_path):
    with pytest.raises(ModelError, match="a folder"):
        content_of(tmp_path)
    with pytest.raises(ModelError, match="No such file"):
        content_of(tmp_path / "file.pt")


def test_the_files_of_these_tests_are_read_unchanged(path, torchs):
    assert content_of(path) == []
    assert list(content_of(torchs)) == ["weight"]


def test_the_other_byte_order_is_refused(tmp_path):
    path = write_archive(tmp_path / "file.pt", PICKLE, byteorder=b"big")
    refused(path, "byte order b'big'; expected b'little'")


@pytest.mark.parametrize("names", [["a/b.pkl"], ["a/data.pkl", "b/data.pkl"]])
def test_other_zip_files_are_refused(tmp_path, names):
    with zipfile.ZipFile(tmp_path / "file.pt", "w") as file:
        for name in names:
            file.writestr(name, PICKLE)
    refused(tmp_path / "file.pt", "members named data.pkl; expected one")
