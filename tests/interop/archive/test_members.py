"""Members of zip files: names, positions and sizes that a writer other than torch made up."""

import struct
import zipfile

import pytest

from tests.interop.archive.making import content_of
from tests.interop.archive.zips import ENTRY, PICKLE, patch, refused

END = struct.Struct("<IHHHHIIH")


def entry(path, number=0):
    """Position of an entry of the directory."""
    content = path.read_bytes()
    place = content.index(ENTRY)
    for _ in range(number):
        place = content.index(ENTRY, place + 1)
    return place


def test_compressed_members_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "f.pt", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", PICKLE + b"\0" * (10 << 20))
    refused(tmp_path / "f.pt", "compressed by method 8")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "file.pt", "w") as file:
        file.writestr("archive/data.pkl", PICKLE)
        file.writestr("archive/data.pkl", PICKLE)
    refused(tmp_path / "file.pt", "two members named 'archive/data.pkl'")


def test_overlapping_members_are_refused(path):
    start = struct.unpack_from("<I", path.read_bytes(), entry(path, 1) + 42)[0]
    patch(path, entry(path, 2) + 42, "<I", start + 10)
    refused(path, "overlaps another")


def test_two_entries_of_one_header_are_refused(path):
    patch(path, entry(path, 1) + 42, "<I", 0)
    refused(path, "overlaps another|differs from the zip directory")


def test_a_size_that_reaches_into_the_next_member_is_refused(torchs):
    """Torch's own headers state no sizes, so that only the directory has them."""
    size = struct.unpack_from("<I", torchs.read_bytes(), entry(torchs) + 20)[0]
    patch(torchs, entry(torchs) + 20, "<II", size + 100, size + 100)
    refused(torchs, "overlaps another")


@pytest.mark.parametrize("claim", [1 << 31, (1 << 32) - 2])
def test_claims_of_gigabytes_are_refused(torchs, claim):
    patch(torchs, entry(torchs) + 20, "<II", claim, claim)
    refused(torchs, "reaches beyond the file's content")


def test_claims_of_4_gb_without_the_zip64_field_are_refused(torchs):
    patch(torchs, entry(torchs) + 20, "<II", 0xFFFFFFFF, 0xFFFFFFFF)
    refused(torchs, "claims 4 GB or more, without")


def zip64_claim(path, size):
    """Give the first entry a zip64 field that states a size."""
    content = path.read_bytes()
    place = entry(path)
    of_name = struct.unpack_from("<H", content, place + 28)[0]
    at = place + 46 + of_name
    field = struct.pack("<HHQQ", 1, 16, size, size)
    made = bytearray(content[:at] + field + content[at:])
    struct.pack_into("<II", made, place + 20, 0xFFFFFFFF, 0xFFFFFFFF)
    struct.pack_into("<H", made, place + 30, len(field))
    end = len(made) - END.size
    values = list(END.unpack_from(made, end))
    values[5] += len(field)
    END.pack_into(made, end, *values)
    path.write_bytes(made)


def test_zip64_claims_of_4_gb_are_refused(path):
    zip64_claim(path, 1 << 32)
    refused(path, "states|reaches beyond|differs")


def test_zip64_claims_of_terabytes_are_refused(path):
    zip64_claim(path, 1 << 62)
    refused(path, "states|reaches beyond|differs")


def test_a_zip64_field_that_is_true_is_accepted(path):
    zip64_claim(path, len(PICKLE))
    assert content_of(path) == []


@pytest.mark.parametrize(
    ("place", "form", "value", "said"),
    [
        (0, "<I", 0, "zip directory is damaged"),
        (8, "<H", 0x809, "encrypted"),
        (10, "<H", 99, "compressed by method 99"),
        (20, "<I", 1, "states 1 stored bytes"),
        (28, "<H", 0xFFFF, "zip directory is damaged"),
        (28, "<H", 0, "a plain name|damaged"),
        (34, "<H", 1, "states"),
        (42, "<I", 1 << 30, "it ends at byte"),
        (42, "<I", 3, "differs from the zip directory"),
        (46, "<B", 0xFF, "expected UTF-8"),
        (46, "<B", 0x0A, "expected a plain name"),
        (46, "<B", 0x62, "differs from the zip directory"),
    ],
)
def test_entries_that_lie_are_refused(torchs, place, form, value, said):
    patch(torchs, entry(torchs) + place, form, value)
    refused(torchs, said)


@pytest.mark.parametrize(
    ("place", "form", "value", "said"),
    [
        (6, "<H", 1, "differs from the zip directory"),
        (8, "<H", 8, "differs from the zip directory"),
        (18, "<I", 5, "states"),
        (22, "<I", 5, "states 5 bytes"),
        (26, "<H", 3, "differs from the zip directory"),
        (28, "<H", 0xFFFF, "overlaps|reaches beyond"),
    ],
)
def test_headers_that_lie_are_refused(path, place, form, value, said):
    patch(path, place, form, value)
    refused(path, said)
