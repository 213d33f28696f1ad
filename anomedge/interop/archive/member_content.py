"""Read the bytes of members through one open file, with bounds."""

import zlib
from typing import BinaryIO

from anomedge.interop.archive.limits import LONGEST_LINE, Budget, Refused
from anomedge.interop.archive.members import Member
from anomedge.interop.archive.zip_end import read_at

__all__ = ["MemberStream", "check_content", "check_crc", "read_small"]

_BLOCK = 1 << 20
_SMALL = 1 << 10
_EXPANSION = 5  # a byte becomes at most four bytes of text, besides itself


def read_small(file: BinaryIO, member: Member) -> bytes:
    """Return the content of a member of at most 1 KiB.

    Raises:
        Refused: it is larger.
    """
    if member.size > _SMALL:
        raise Refused(
            f"the member {member.name!r} has {member.size} bytes; expected at most {_SMALL}"
        )
    return read_at(file, member.start, member.size)


def check_content(file: BinaryIO, member: Member) -> None:
    """Compare the content with its CRC-32, in blocks; a CRC of 0 was not computed by the writer.

    Raises:
        Refused: they differ.
    """
    if not member.crc:
        return
    found, place = 0, 0
    while place < member.size:
        count = min(_BLOCK, member.size - place)
        found = zlib.crc32(read_at(file, member.start + place, count), found)
        place += count
    check_crc(member, found)


def check_crc(member: Member, found: int) -> None:
    """Raise if the CRC-32 of the content differs from the directory's.

    Raises:
        Refused: they differ.
    """
    if member.crc not in (0, found):
        raise Refused(
            f"the member {member.name!r} has the CRC {found:08x}; expected {member.crc:08x}: the file is damaged, copy it again"
        )


class MemberStream:
    """The content of a member as `pickletools.genops` reads it; a length is checked before memory is allocated.

    It has no `tell`, which `genops` would call for each opcode.
    """

    def __init__(self, file: BinaryIO, member: Member, budget: Budget) -> None:
        self._file, self._budget = file, budget
        self.left = member.size
        file.seek(member.start)

    def read(self, count: int) -> bytes:
        """Return `count` bytes; a single byte at the end is b"", by which `genops` notices the end.

        Raises:
            Refused: the member has fewer left.
        """
        if count == 1:
            count = min(1, self.left)
        elif not 0 <= count <= self.left:
            raise Refused(
                f"its pickle claims an argument of {count} bytes; only {self.left} are left"
            )
        else:
            self._budget.charge(_EXPANSION * count)
        return self._taken(self._file.read(count))

    def readline(self) -> bytes:
        """Return the bytes up to a newline.

        Raises:
            Refused: the line is too long.
        """
        line = self._file.readline(min(self.left, LONGEST_LINE))
        if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
            raise Refused(
                f"its pickle has a line of over {LONGEST_LINE} bytes, which torch.save does not write"
            )
        self._budget.charge(_EXPANSION * len(line))
        return self._taken(line)

    def _taken(self, content: bytes) -> bytes:
        self.left -= len(content)
        return content
