"""Limits on a file's content, and the error of a file that exceeds them."""

__all__ = [
    "COSTS",
    "LARGEST_DIRECTORY",
    "LARGEST_INTEGER",
    "LONGEST_LINE",
    "LONGEST_NAME",
    "MOST_COMPOUND_KEYS",
    "MOST_DIMENSIONS",
    "MOST_LEVELS",
    "MOST_MARKS",
    "MOST_MEMBERS",
    "MOST_NUMBER_KEYS",
    "MOST_OPCODES",
    "MOST_TENSOR_COPIES",
    "SMALL_TENSOR",
    "Budget",
    "Refused",
]

MOST_MEMBERS = 20_000
LARGEST_DIRECTORY = 4 << 20  # bytes
MOST_OPCODES = 1_000_000
MOST_MARKS = 1000
MOST_LEVELS = 200
LARGEST_INTEGER = 2040  # bits: the largest that one byte of length can state
LONGEST_LINE = 1 << 16  # bytes of an argument that ends with a newline
LONGEST_NAME = 512  # characters of a module, a class or a member
MOST_COMPOUND_KEYS = 1000
MOST_NUMBER_KEYS = 50_000
MOST_DIMENSIONS = 64
MOST_TENSOR_COPIES = 8  # all tensors together, in sizes of the file
SMALL_TENSOR = 1 << 20  # bytes of a tensor, however small its storage

_FREE = 64 << 20
_RESERVED = 24 << 20  # zip directory, buffers, and memory that is not counted


class COSTS:
    """Upper bounds of the memory of values, in bytes."""

    SCALAR = 64
    CONTAINER = 256
    ITEM = 24
    ENTRY = 192
    MEMO = 192
    RECORD = 640
    TENSOR = 1024


class Refused(ValueError):
    """A file that is damaged, hostile or of another format; the message lacks the file's name."""


class Budget:
    """Memory and work that the content of one file may cost: twice its size and 64 MB, less a reserve.

    Costs are upper bounds of CPython's sizes. An opcode that iterates over n values is charged for n values, so the
    budget bounds the time as well. Tensors are counted apart, because they are loaded later: many tensors may share one
    storage, and a caller may load all of them. A tensor with gaps counts as the bytes from its first to its last element.
    """

    def __init__(self, file_size: int) -> None:
        self._left = 2 * file_size + _FREE - _RESERVED
        self._tensors_left = MOST_TENSOR_COPIES * file_size + _FREE

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

    def charge_tensor(self, size: int) -> None:
        """Count `size` bytes of a tensor, those that loading it reads or makes.

        Raises:
            Refused: all tensors together are larger than eight times the file and 64 MB.
        """
        self._tensors_left -= size
        if self._tensors_left < 0:
            raise Refused(
                f"its tensors together have over {MOST_TENSOR_COPIES} times its size"
            )
