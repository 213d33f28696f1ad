"""The end of zip files: where the directory lies, and ends that lie."""

import zipfile

import pytest

from anomedge.interop.archive.zip_end import find_directory
from tests.interop.archive.making import write_archive
from tests.interop.archive.zips import LOCAL, PICKLE, patch, refused


@pytest.mark.parametrize(
    ("place", "form", "value", "said"),
    [
        (-22 - 20 + 8, "<Q", 5, "zip64 locator points to byte 5"),
        (-22 - 20 + 16, "<I", 2, "zip64 locator points"),
        (-22 - 20 - 56, "<I", 0, "zip64 end is damaged"),
        (-22 - 20 - 56 + 4, "<Q", 1 << 40, "zip64 end is damaged"),
        (-22 - 20 - 56 + 32, "<Q", 1 << 40, "several parts|disagree"),
        (-22 - 20 - 56 + 40, "<Q", 1 << 40, "two zip ends disagree"),
        (-22 - 20 - 56 + 48, "<Q", 1 << 40, "two zip ends disagree"),
        (-22, "<I", 0, "no zip directory at its end"),
        (-22 + 4, "<H", 1, "several parts"),
        (-22 + 8, "<H", 3, "several parts"),
        (-22 + 8, "<HH", 3, "two zip ends disagree"),
        (-22 + 12, "<I", 7, "two zip ends disagree"),
        (-22 + 16, "<I", 7, "two zip ends disagree"),
        (-22 + 20, "<H", 1, "no zip directory at its end"),
    ],
)
def test_ends_that_lie_are_refused(torchs, place, form, value, said):
    values = [value] * (len(form) - 1)
    patch(torchs, torchs.stat().st_size + place, form, *values)
    refused(torchs, said)


def test_too_many_members_are_refused(tmp_path):
    members = {f"data/{number}": b"" for number in range(1, 20_001)}
    refused(
        write_archive(tmp_path / "file.pt", PICKLE, **members),
        "expected at most 20000",
    )


def test_a_file_that_is_cut_off_is_refused(torchs):
    content = torchs.read_bytes()
    for size in range(0, len(content), 97):
        torchs.write_bytes(content[:size])
        refused(torchs, "cannot read")


def test_appended_bytes_are_refused(torchs):
    torchs.write_bytes(torchs.read_bytes() + b"\0")
    refused(torchs, "bytes appended")


def test_bytes_in_front_are_refused(torchs):
    torchs.write_bytes(LOCAL + torchs.read_bytes())
    refused(torchs, "zip")


def test_torch_writes_the_directory_where_it_is_expected(torchs):
    with torchs.open("rb") as file:
        found = find_directory(file)
    assert found.entries == len(zipfile.ZipFile(torchs).namelist())
