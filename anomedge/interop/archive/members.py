"""Members of a zip file: names, positions and sizes, checked against the file.

Format: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.9, 4.3.12 and 4.5.3. Only stored members are accepted, so no
member is larger than the file. Members do not overlap.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from anomedge.interop.archive.limits import LONGEST_NAME, Refused
from anomedge.interop.archive.zip_end import find_directory, read_at

__all__ = ["Member", "read_members"]

_ENTRY = struct.Struct("<IHHHHHHIIIHHHHHII")
_LOCAL = struct.Struct("<IHHHHHIIIHH")
_SIGNATURE, _SIGNATURE_LOCAL = 0x02014B50, 0x04034B50
_DESCRIPTOR, _UTF_8 = 0x8, 0x800
_DESCRIPTOR_SIZE = 16  # signature, CRC and two sizes of four bytes
_DESCRIPTOR_SIZE_64 = 24
_ZIP64 = 1
_IN_ZIP64 = 0xFFFFFFFF


class Member(NamedTuple):
    """One member.

    Attributes:
        name: its name, which may contain slashes.
        start: position of its first byte in the file.
        size: bytes.
        crc: CRC-32 of its content; 0 if the writer did not compute it.
    """

    name: str
    start: int
    size: int
    crc: int


class _Entry(NamedTuple):
    """An entry of the directory: a member whose content's position is not known yet."""

    name: str
    header: int
    size: int
    crc: int
    flags: int


def read_members(file: BinaryIO) -> dict[str, Member]:
    """Return the members by name.

    Raises:
        Refused: the directory is damaged, a member is compressed, encrypted or outside the file, two members overlap or
            have the same name, or a member's own header differs from the directory.
    """
    directory = find_directory(file)
    content = read_at(file, directory.start, directory.size)
    entries = list(_entries(content, directory.entries))
    members: dict[str, Member] = {}
    free = 0
    for entry in sorted(entries, key=lambda e: e.header):
        if entry.name in members:
            raise Refused(f"got two members named {entry.name!r}")
        if entry.header < free:
            raise Refused(f"the member {entry.name!r} overlaps another")
        member = _located(file, entry)
        free = member.start + member.size + _descriptor_size(entry)
        if free > directory.start:
            raise Refused(
                f"the member {entry.name!r} of {entry.size} bytes reaches beyond the file's content"
            )
        members[entry.name] = member
    return members


def _descriptor_size(entry: _Entry) -> int:
    if not entry.flags & _DESCRIPTOR:
        return 0
    large = entry.size >= _IN_ZIP64
    return _DESCRIPTOR_SIZE_64 if large else _DESCRIPTOR_SIZE


def _entries(content: bytes, count: int) -> Iterator[_Entry]:
    position = 0
    for _ in range(count):
        if position + _ENTRY.size > len(content):
            raise Refused("its zip directory ends within an entry")
        entry, position = _entry(content, position)
        yield entry
    if position != len(content):
        raise Refused(
            f"its zip directory has {len(content)} bytes; expected {position}"
        )


def _entry(content: bytes, position: int) -> tuple[_Entry, int]:
    (
        signature, _, _, flags, method, _, _, crc, packed, size,
        of_name, of_extra, of_comment, disk, _, _, header,
    ) = _ENTRY.unpack_from(content, position)  # fmt: skip
    begin = position + _ENTRY.size
    end = begin + of_name + of_extra + of_comment
    if signature != _SIGNATURE or end > len(content):
        raise Refused("its zip directory is damaged")
    name = _name(content[begin : begin + of_name])
    extra = content[begin + of_name : begin + of_name + of_extra]
    size, packed, header, disk = _zip64(name, extra, size, packed, header, disk)
    _check_kind(name, flags, method)
    if packed != size or disk:
        raise Refused(
            f"the member {name!r} states {packed} stored bytes; expected its size {size}"
        )
    return _Entry(name, header, size, crc, flags), end


def _name(content: bytes) -> str:
    try:
        name = content.decode()
    except UnicodeDecodeError:
        raise Refused(
            f"got a member named {content[:60]!r}; expected UTF-8"
        ) from None
    if not name.isprintable() or not 0 < len(name) <= LONGEST_NAME:
        raise Refused(
            f"got a member named {name[:60]!r}; expected a plain name"
        )
    return name


def _check_kind(name: str, flags: int, method: int) -> None:
    if method:
        raise Refused(
            f"the member {name!r} is compressed by method {method}; torch stores members uncompressed: save it again with torch.save"
        )
    if flags & ~(_DESCRIPTOR | _UTF_8):
        raise Refused(
            f"the member {name!r} has the zip flags {flags:#x}, as encrypted ones have; expected a plain member"
        )


def _zip64(name: str, extra: bytes, *stated: int) -> tuple[int, int, int, int]:
    """Return size, stored size, position and disk; a value of all ones is in the zip64 field."""
    field = _field(name, extra)
    values, place = [], 0
    for value, unstated, code in zip(
        stated,
        (_IN_ZIP64, _IN_ZIP64, _IN_ZIP64, 0xFFFF),
        ("<Q", "<Q", "<Q", "<I"),
        strict=True,
    ):
        if value == unstated:
            if place + struct.calcsize(code) > len(field):
                raise Refused(
                    f"the member {name!r} claims 4 GB or more, without the zip64 field that states such sizes"
                )
            (value,) = struct.unpack_from(code, field, place)
            place += struct.calcsize(code)
        values.append(value)
    return values[0], values[1], values[2], values[3]


def _field(name: str, extra: bytes) -> bytes:
    """Return the zip64 field among the extra fields of an entry."""
    found, place = [], 0
    while place + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, place)
        field = extra[place + 4 : place + 4 + size]
        if len(field) != size:
            break
        if kind == _ZIP64:
            found.append(field)
        place += 4 + size
    if place != len(extra) or len(found) > 1:
        raise Refused(f"the extra fields of the member {name!r} are damaged")
    return found[0] if found else b""


def _located(file: BinaryIO, entry: _Entry) -> Member:
    """Return the member after a comparison of the directory with the member's own header."""
    signature, _, flags, method, _, _, crc, packed, size, of_name, of_extra = (
        _LOCAL.unpack(read_at(file, entry.header, _LOCAL.size))
    )
    name = entry.name.encode()
    same = (signature, flags, method, of_name) == (
        _SIGNATURE_LOCAL,
        entry.flags,
        0,
        len(name),
    )
    if not same or read_at(file, entry.header + _LOCAL.size, of_name) != name:
        raise Refused(
            f"the header of the member {entry.name!r} differs from the zip directory"
        )
    # With a descriptor the header states zeros; otherwise it repeats the directory.
    later = flags & _DESCRIPTOR and (crc, packed, size) == (0, 0, 0)
    if not later and not _same_values(entry, crc, packed, size):
        raise Refused(
            f"the header of the member {entry.name!r} states {size} bytes; expected {entry.size}"
        )
    start = entry.header + _LOCAL.size + of_name + of_extra
    return Member(entry.name, start, entry.size, entry.crc)


def _same_values(entry: _Entry, crc: int, packed: int, size: int) -> bool:
    stated = min(entry.size, _IN_ZIP64)
    return crc == entry.crc and (packed, size) in (
        (stated, stated),
        (_IN_ZIP64, _IN_ZIP64),
    )
