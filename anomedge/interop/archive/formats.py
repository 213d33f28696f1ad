"""Names of formats that are not read, and the advice for each."""

from collections.abc import Iterable
from typing import BinaryIO

from anomedge.interop.archive.limits import Refused

__all__ = ["check_beginning", "check_names"]

_ZIP = b"PK\x03\x04"
_PICKLE = b"\x80"
_TAR, _TAR_AT = b"ustar", 257
_SAVE_AGAIN = "load it in a sandbox with the torch that wrote it and save it again with torch.save"
_SCRIPT = ("constants.pkl", "code/")


def check_beginning(file: BinaryIO) -> None:
    """Raise if the file does not begin as a zip file.

    Raises:
        Refused: with the format's name where it is known.
    """
    file.seek(0)
    content = file.read(_TAR_AT + len(_TAR))
    if content.startswith(_ZIP):
        return
    if content[_TAR_AT:] == _TAR:
        raise Refused(f"it is a tar file of torch 0.1; {_SAVE_AGAIN}")
    if content.startswith(_PICKLE):
        raise Refused(
            f"it is a pickle or a file of torch before 1.6, without a zip file around it; {_SAVE_AGAIN}"
        )
    raise Refused(
        f"it begins with {content[:8]!r}; expected a zip file written by torch.save"
    )


def check_names(root: str, names: Iterable[str]) -> None:
    """Raise if the members are those of a TorchScript archive.

    Raises:
        Refused: they are.
    """
    own = tuple(f"{root}/{name}" for name in _SCRIPT)
    if any(name.startswith(own) for name in names):
        raise Refused(
            "it is a TorchScript archive, which contains code; give the checkpoint that it was made from"
        )
