"""Limits on a file's content, and the error of a file that exceeds them."""

__all__ = [
    "LARGEST_DIRECTORY",
    "LARGEST_INTEGER",
    "LONGEST_LINE",
    "LONGEST_NAME",
    "MOST_COMPOUND_KEYS",
    "MOST_DIMENSIONS",
    "MOST_LEVELS",
    "MOST_MARKS",
    "MOST_MEMBERS",
    "MOST_OPCODES",
    "SMALL_TENSOR",
    "Budget",
    "Refused",
]

MOST_MEMBERS = 20_000
LARGEST_DIRECTORY = 8 << 20  # bytes
MOST_OPCODES = 2_000_000
MOST_MARKS = 1000
MOST_LEVELS = 200
LARGEST_INTEGER = 2040  # bits: the largest that one byte of length can state
LONGEST_LINE = 1 << 16  # bytes of an argument that ends with a newline
LONGEST_NAME = 512  # characters of a module, a class or a member
MOST_COMPOUND_KEYS = 1000
MOST_DIMENSIONS = 64
SMALL_TENSOR = (
    1 << 20
)  # bytes that a tensor may have, however small its storage

_FREE = 64 << 20
_RESERVED = 24 << 20  # zip directory, buffers, and memory that is not counted


class Refused(ValueError):
    """A file that is damaged, hostile or of another format; the message lacks the file's name."""


class Budget:
    """Memory and work that the content of one file may cost: twice its size and 64 MB, less a reserve.

    Costs are upper bounds of CPython's sizes. An opcode that iterates over n values is charged for n values, so the
    budget bounds the time as well.
    """

    def __init__(self, file_size: int) -> None:
        self._left = 2 * file_size + _FREE - _RESERVED

    def charge(self, cost: int) -> None:
        """Take `cost` bytes.

        Raises:
            Refused: fewer are left.
        """
        self._left -= cost
        if self._left < 0:
            raise Refused(
                "its pickle would fill more memory than twice the file and 64 MB, which no checkpoint needs"
            )
