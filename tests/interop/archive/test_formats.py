"""Formats that are not read, by their names."""

import io

import pytest
import torch

from anomedge.errors import ModelError
from anomedge.interop.archive.formats import check_beginning, check_names
from anomedge.interop.archive.limits import Refused
from tests.interop.archive.making import content_of, write_archive
from tests.interop.archive.zips import PICKLE, refused


@pytest.mark.parametrize("name", ["constants.pkl", "code/__torch__.py"])
def test_torchscript_is_refused_by_name(tmp_path, name):
    path = write_archive(tmp_path / "file.pt", PICKLE, **{name: b""})
    refused(path, "TorchScript archive, which contains code")


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


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x80\x02}", "before 1.6, without a zip file around it"),
        (b"\0" * 257 + b"ustar", "a tar file of torch 0.1"),
        (b"\x93NUMPY\x01\x00\x76", r"begins with b'\\x93NUMPY\\x01\\x00'"),
        (b"", "begins with b''"),
    ],
)
def test_beginnings_of_other_formats_are_named(content, said):
    with pytest.raises(Refused, match=said):
        check_beginning(io.BytesIO(content))


def test_a_zip_file_may_begin_anything():
    check_beginning(io.BytesIO(b"PK\x03\x04" + b"\0" * 253 + b"ustar"))


def test_only_code_of_the_root_makes_a_script():
    check_names("archive", ["archive/data.pkl", "other/code/x.py"])
    with pytest.raises(Refused, match="TorchScript"):
        check_names("archive", ["archive/code/x.py"])
