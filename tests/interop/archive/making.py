"""Make files of torch.save by hand: any pickle, any members."""

import zipfile
from pathlib import Path

import torch

from anomedge.interop.archive import open_archive

FLOATS = torch.arange(6, dtype=torch.float32)


def write_archive(path: Path, pickle: bytes, **members: bytes) -> Path:
    """Write a zip file with this pickle and one storage, "0", of six float32 values."""
    storage = FLOATS.numpy().tobytes()
    content = {"data.pkl": pickle, "byteorder": b"little", "data/0": storage}
    with zipfile.ZipFile(path, "w") as file:
        for name, data in (content | members).items():
            file.writestr(f"archive/{name}", data)
    return path


def content_of(path: Path) -> object:
    """Return the content of a file, whose tensors cannot be loaded any more."""
    with open_archive(path) as archive:
        return archive.content


def text(value: str) -> bytes:
    """Return the opcode BINUNICODE."""
    data = value.encode()
    return b"X" + len(data).to_bytes(4, "little") + data


def number(value: int) -> bytes:
    """Return the opcode LONG1."""
    size = value.bit_length() // 8 + 1
    return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)


def numbers(*values: int) -> bytes:
    """Return the opcodes of a tuple of integers."""
    return b"(" + b"".join(map(number, values)) + b"t"


def name(module: str, of: str) -> bytes:
    """Return the opcode GLOBAL."""
    return f"c{module}\n{of}\n".encode()


def storage(count: int = 6, kind: bytes | None = None, key: str = "0") -> bytes:
    """Return the opcodes of a storage's persistent id."""
    kind = kind or name("torch", "FloatStorage")
    return b"(" + text("storage") + kind + text(key) + text("cpu") + number(count) + b"tQ"  # fmt: skip


def tensor(
    shape: bytes,
    strides: bytes,
    offset: bytes = number(0),
    stored: bytes | None = None,
) -> bytes:
    """Return the opcodes of `_rebuild_tensor_v2`."""
    function = name("torch._utils", "_rebuild_tensor_v2")
    return function + b"(" + (stored or storage()) + offset + shape + strides + b"\x89}tR"  # fmt: skip


PROTO = b"\x80\x02"
