"""Mutations of golden arrays and pictures, with recomputed hashes."""

import io
import os
import pickle
import struct
import zipfile
import zlib
from random import Random
from typing import Any

import numpy as np
from _copies import Copy

__all__ = ["arrays", "pictures"]

_SHAPES = (
    "(1000000000000000,)", "(1125899906842624, 1024)", "(18446744073709551615,)", "(-1,)", "()", "(0,)", "(14, 0)", "(14,)", "[14]",
    "(14.0,)", "('14',)", "14", "None", "(14, 1, 64, 72)", "(" * 60 + ")" * 60, "(" * 900, "(1,) * 10", "__import__('os')", "(True,)",
    "(1, " + "1, " * 70 + ")", "(9" + "9" * 5000 + ",)",
)  # fmt: skip
_TYPES = (
    "'<f4'", "'>f4'", "'<f2'", "'<f8'", "'<f16'", "'|O'", "'<i4'", "'|b1'", "'<c8'", "'|S10'", "'<U9999999'", "'|V0'", "'<m8[ns]'",
    "[('x', '<f4')]", "[('x', '<f4', (1000000, 1000000))]", "[('x', '|O')]", "'f4,' * 9", "''", "'nonsense'", "None", "0", "'O'",
    "[" * 50 + "]" * 50, "('<f4', (2, 2))", "{'names': ['x'], 'formats': ['<f4']}",
)  # fmt: skip


class _Bait:
    """Object whose unpickling runs a command that the tests detect."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("true",)


def arrays(copy: Copy, rng: Random) -> None:
    """Replace golden arrays by files with a wrong header, or without an array."""
    found = [n for n in copy.names if n.endswith(".npy")]
    outputs = ("golden/score.npy", "golden/anomaly_map.npy")
    name = rng.choice([*(n for n in outputs if n in found), *found])
    copy.write(name, _array(copy.read(name), rng))
    copy.sign()


def _array(data: bytes, rng: Random) -> bytes:
    kind = rng.randrange(9)
    if kind == 0:
        return _with_header(
            rng.choice(_TYPES), rng.choice(_SHAPES), data[128:], rng
        )
    if kind == 1:
        return _with_header("'<f4'", rng.choice(_SHAPES), data[128:], rng)
    if kind == 2:
        return _with_header(rng.choice(_TYPES), "(14,)", data[128:], rng)
    if kind == 3:
        head = bytearray(data[:128])
        for _ in range(rng.choice([1, 3, 10])):
            head[rng.randrange(len(head))] = rng.randrange(256)
        return bytes(head) + data[128:]
    if kind == 4:
        return _zipped(data, rng)
    if kind == 5:
        return rng.choice(
            [
                pickle.dumps(_Bait()),
                _with_header("'|O'", "(1,)", pickle.dumps([_Bait()]), rng),
                pickle.dumps([1.0]),
            ]
        )
    if kind == 6:
        return rng.choice(
            [
                b"",
                b"\x93NUMPY",
                b"\x93NUMPY\x09\x00",
                b"\x93NUMPY\x03\x00" + b"\xff" * 4,
                rng.randbytes(200),
                b"PK\x03\x04",
            ]
        )
    if kind == 7:
        buffer = io.BytesIO()
        np.save(
            buffer,
            rng.choice(
                [
                    np.float32(1.0),
                    np.full(14, np.nan, "f4"),
                    np.full(14, np.inf, "f8"),
                    np.zeros((14, 2), "f2"),
                ]
            ),
        )
        return buffer.getvalue()
    return data[: rng.randrange(len(data))]


def _with_header(dtype: str, shape: str, body: bytes, rng: Random) -> bytes:
    header = (
        f"{{'descr': {dtype}, 'fortran_order': {rng.choice(['False', 'False', 'True', '0'])}, 'shape': {shape}, }}".encode()
        + b"\n"
    )
    version = rng.choice([b"\x01\x00", b"\x02\x00", b"\x03\x00"])
    length = struct.pack(
        "<H" if version[0] == 1 else "<I", min(len(header), 65535)
    )
    return b"\x93NUMPY" + version + length + header + body


def _zipped(data: bytes, rng: Random) -> bytes:
    """Return an .npz archive, also one that unpacks to a hundred megabytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(
            "x.npy", data if rng.random() < 0.5 else b"\0" * (100 << 20)
        )
    return buffer.getvalue()


def pictures(copy: Copy, rng: Random) -> None:
    """Replace golden pictures by decompression bombs, damaged or other pictures."""
    name = rng.choice([n for n in copy.names if n.endswith(".png")])
    copy.write(name, _picture(copy.read(name), rng))
    copy.sign()


def _picture(data: bytes, rng: Random) -> bytes:
    kind = rng.randrange(7)
    if kind == 0:
        changed = bytearray(data)
        for _ in range(rng.choice([1, 4, 30])):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        return bytes(changed)
    if kind == 1:
        side = rng.choice([0, 1, 9000, 13_000, 100_000, 2**31 - 1])
        return _png(
            side, rng.choice([1, side]), b"\0" * rng.choice([10, 1 << 20])
        )
    if kind == 2:
        return _png(
            96,
            128,
            b"\0" * (96 * (128 * 3 + 1)),
            [(b"zTXt", b"x\0\0" + zlib.compress(b"\0" * (200 << 20), 1))],
        )
    if kind == 3:
        return _png(1000, 1000, b"\0" * (200 << 20))
    if kind == 4:
        return rng.choice([
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n%%EndComments\n(x) run\nshowpage\n", b"", b"GIF89a\xff\xff\xff\xff\xf7\0\0",
            b"P6\n999999 999999\n255\n", b"BM" + rng.randbytes(100), b"II*\0" + rng.randbytes(500), b"8BPS\0\1" + rng.randbytes(60),
            b"RIFF\xff\xff\xff\xffWEBPVP8 " + rng.randbytes(60), b"SIMPLE  = T" + b" " * 3000, b"\xff\xd8\xff\xe0" + rng.randbytes(900),
        ])  # fmt: skip
    if kind == 5:
        chunks = [
            (
                rng.choice(
                    [
                        b"iCCP",
                        b"eXIf",
                        b"tRNS",
                        b"PLTE",
                        b"acTL",
                        b"fcTL",
                        b"gAMA",
                    ]
                ),
                rng.randbytes(rng.choice([0, 8, 80])),
            )
        ]
        return _png(96, 128, b"\0" * (96 * (128 * 3 + 1)), chunks)
    return data[: rng.randrange(len(data))]


def _png(
    height: int,
    width: int,
    rows: bytes,
    chunks: list[tuple[bytes, bytes]] | None = None,
) -> bytes:
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        *(chunks or []),
    ]
    parts += [(b"IDAT", zlib.compress(rows, 1)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(d))
        + kind
        + d
        + struct.pack(">I", zlib.crc32(kind + d))
        for kind, d in parts
    )
    return b"\x89PNG\r\n\x1a\n" + body
