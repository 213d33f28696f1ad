"""Content of members: bounded, and compared with its checksum."""

from tests.interop.archive.making import write_archive
from tests.interop.archive.zips import PICKLE, refused


def test_a_long_byte_order_is_refused(tmp_path):
    path = write_archive(tmp_path / "f.pt", PICKLE, byteorder=b"x" * 2000)
    refused(path, "has 2000 bytes; expected at most 1024")


def test_a_damaged_pickle_is_refused(torchs):
    content = bytearray(torchs.read_bytes())
    content[content.index(b"weight")] ^= 1
    torchs.write_bytes(content)
    refused(torchs, r"has the CRC .*: the file is damaged, copy it again")
