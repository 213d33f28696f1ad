"""Hostile zip files: names, positions and sizes that a writer other than torch made up."""

import struct
import zipfile

import pytest
import torch

from anomedge.errors import ModelError
from anomedge.interop.archive import open_archive
from anomedge.interop.archive.zip_end import find_directory
from tests.interop.archive.making import content_of, write_archive

PICKLE = b"\x80\x02]."
END = struct.Struct("<IHHHHIIH")
ENTRY, LOCAL = b"PK\x01\x02", b"PK\x03\x04"


@pytest.fixture
def path(tmp_path):
    return write_archive(tmp_path / "file.pt", PICKLE)


@pytest.fixture
def torchs(tmp_path):
    torch.save({"weight": torch.arange(100.0)}, tmp_path / "torchs.pt")
    return tmp_path / "torchs.pt"


def patch(path, place, form, *values):
    """Overwrite values at a place of the file."""
    content = bytearray(path.read_bytes())
    struct.pack_into(form, content, place, *values)
    path.write_bytes(content)


def entry(path, number=0):
    """Position of an entry of the directory."""
    content = path.read_bytes()
    place = content.index(ENTRY)
    for _ in range(number):
        place = content.index(ENTRY, place + 1)
    return place


def refused(path, said):
    with pytest.raises(ModelError, match=said) as caught:
        content_of(path)
    assert "\n" not in str(caught.value)


def test_the_files_of_these_tests_are_read_unchanged(path, torchs):
    assert content_of(path) == []
    assert list(content_of(torchs)) == ["weight"]


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


def test_the_other_byte_order_is_refused(tmp_path):
    path = write_archive(tmp_path / "file.pt", PICKLE, byteorder=b"big")
    refused(path, "byte order b'big'; expected b'little'")


def test_a_long_byte_order_is_refused(tmp_path):
    path = write_archive(tmp_path / "f.pt", PICKLE, byteorder=b"x" * 2000)
    refused(path, "has 2000 bytes; expected at most 1024")


@pytest.mark.parametrize("name", ["constants.pkl", "code/__torch__.py"])
def test_torchscript_is_refused_by_name(tmp_path, name):
    path = write_archive(tmp_path / "file.pt", PICKLE, **{name: b""})
    refused(path, "TorchScript archive, which contains code")


@pytest.mark.parametrize("names", [["a/b.pkl"], ["a/data.pkl", "b/data.pkl"]])
def test_other_zip_files_are_refused(tmp_path, names):
    with zipfile.ZipFile(tmp_path / "file.pt", "w") as file:
        for name in names:
            file.writestr(name, PICKLE)
    refused(tmp_path / "file.pt", "members named data.pkl; expected one")


def test_a_damaged_pickle_is_refused(torchs):
    content = bytearray(torchs.read_bytes())
    content[content.index(b"weight")] ^= 1
    torchs.write_bytes(content)
    refused(torchs, r"has the CRC .*: the file is damaged, copy it again")


@pytest.mark.parametrize("part", [slice(None), slice(3, 7)])
def test_a_damaged_tensor_is_refused(tmp_path, part):
    path = tmp_path / "file.pt"
    torch.save([torch.arange(100.0)[part]], path)
    content = bytearray(path.read_bytes())
    content[content.index(struct.pack("<f", 90.0))] ^= 1
    path.write_bytes(content)
    with (
        open_archive(path) as archive,
        pytest.raises(ModelError, match=r"cannot read a tensor: .* damaged"),
    ):
        archive.content[0].load()


def test_a_file_that_becomes_shorter_is_refused(torchs):
    with open_archive(torchs) as archive:
        with torchs.open("r+b") as file:
            file.truncate(10)
        with pytest.raises(ModelError, match=r"changed meanwhile|ends at"):
            archive.content["weight"].load()


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


def test_torch_writes_the_directory_where_it_is_expected(torchs):
    with torchs.open("rb") as file:
        found = find_directory(file)
    assert found.entries == len(zipfile.ZipFile(torchs).namelist())
