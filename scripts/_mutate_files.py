"""Mutations that the hashes must detect: bytes, files, folders, links, special files, the manifest."""

import os
import socket
import stat
from collections.abc import Callable
from random import Random

from _copies import Copy
from _hostile_json import RAW, operate

__all__ = ["BROKEN", "make_special"]

HUGE = (1 << 33, 1 << 40, 1 << 43)


def _place(copy: Copy, rng: Random) -> str:
    """Pick a file, independent of its size, the manifest more often."""
    return "manifest.json" if rng.random() < 0.1 else rng.choice(copy.names)


def flip(copy: Copy, rng: Random) -> None:
    """Change a few bytes of a file."""
    name = _place(copy, rng)
    data = bytearray(copy.read(name))
    for _ in range(rng.choice([1, 1, 2, 8])):
        data[rng.randrange(len(data))] ^= rng.randint(1, 255)
    copy.write(name, bytes(data))


def truncate(copy: Copy, rng: Random) -> None:
    """Truncate a file."""
    name = _place(copy, rng)
    data = copy.read(name)
    copy.write(
        name,
        data[: rng.choice([0, 1, len(data) - 1, rng.randrange(len(data))])],
    )


def grow(copy: Copy, rng: Random) -> None:
    """Append to a file."""
    name = _place(copy, rng)
    copy.write(
        name, copy.read(name) + rng.randbytes(rng.choice([1, 100, 100_000]))
    )


def delete(copy: Copy, rng: Random) -> None:
    """Remove files or a folder."""
    for _ in range(rng.choice([1, 1, 3])):
        copy.remove(rng.choice([*copy.names, *copy.folders]))


def extra(copy: Copy, rng: Random) -> None:
    """Add files or folders with names that are problematic for terminals and other systems."""
    name = rng.choice([
        "extra.so", "x/y/z", ".hidden", "golden/999.png", "model.onnx.data", "a\nb", "a\x1b[2Jb", "a\\b", "a:b", "\u202ex", "x" * 255,
        "openvino/plugins.xml", "golden/100/x.npy", "certificates.bak", "Manifest.json", "local.json~", os.fsdecode(b"\xff\xfe"),
    ])  # fmt: skip
    kind = rng.randrange(4)
    if kind == 0:
        (copy.root / name).mkdir(parents=True)
    elif kind == 1:
        for number in range(rng.choice([3, 300])):
            copy.write(f"more/{number}", b"")
    elif kind == 2:
        _nest(copy, rng.choice([10, 30]))
    else:
        copy.write(name, rng.randbytes(rng.choice([0, 10, 10_000])))


def _nest(copy: Copy, depth: int) -> None:
    """Nest folders until the path exceeds the system's limit."""
    handle = os.open(copy.root, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d" * 250, dir_fd=handle)
        inner = os.open("d" * 250, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = inner
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=handle))
    os.close(handle)


def rename(copy: Copy, rng: Random) -> None:
    """Move a file or folder, also onto another one."""
    old = rng.choice([*copy.names, *copy.folders])
    new = rng.choice(
        [
            f"{old}.x",
            old.upper(),
            f"golden/{old.replace('/', '_')}",
            rng.choice(copy.listed),
            "local.json",
        ]
    )
    if (
        new.startswith(f"{old}/")
        or new == old
        or not (copy.root / old).exists()
    ):
        new = f"{old}~"
    if (copy.root / new).is_dir():
        new = f"{new}~"
    target = copy.remove(new)
    if (copy.root / old).exists():
        os.rename(copy.root / old, target)


def link_file(copy: Copy, rng: Random) -> None:
    """Replace a file by a link: out of the bundle, within it, to itself, to nothing."""
    name = rng.choice([*copy.names, "local.json", "extra"])
    path = copy.remove(name)
    path.symlink_to(rng.choice([
        copy.original / name, copy.outside / "secret.bin", copy.outside / "secret.json", "/etc/hostname", path.name, "nowhere",
        "/dev/zero", os.path.relpath(copy.outside / "secret.npy", path.parent), copy.root / "model.onnx", "/proc/self/environ",
    ]))  # fmt: skip


def link_folder(copy: Copy, rng: Random) -> None:
    """Replace a folder by a link."""
    name = rng.choice([*copy.folders, "more", "golden/more"])
    path = copy.remove(name)
    path.symlink_to(
        rng.choice(
            [
                copy.outside / "secret",
                copy.outside,
                "/etc",
                "..",
                ".",
                path.name,
                "../../secret",
                "/proc/self",
            ]
        )
    )


def make_special(copy: Copy, name: str, rng: Random) -> None:
    """Create a pipe, a socket or a device; create a pipe if rights are missing."""
    path = copy.remove(name)
    kind = rng.choice(["pipe", "pipe", "socket", "zero", "folder"])
    try:
        if kind == "socket":
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(str(path))
        elif kind == "zero":
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))
        elif kind == "folder":
            path.mkdir()
    except OSError:
        path.unlink(missing_ok=True)
    if not os.path.lexists(path):
        os.mkfifo(path)


def special(copy: Copy, rng: Random) -> None:
    """Add or substitute a special file that the manifest does not list."""
    make_special(
        copy,
        rng.choice(
            [
                *copy.names,
                "manifest.json",
                "local.json",
                "certificates/x",
                "extra",
            ]
        ),
        rng,
    )


def sparse(copy: Copy, rng: Random) -> None:
    """Make a huge sparse file."""
    name = rng.choice(
        [*copy.names, "local.json", "extra", "certificates/x.json"]
    )
    copy.write(name, copy.read(name) if name in copy.names else b"")
    for size in sorted(HUGE, reverse=rng.random() < 0.5):
        try:
            os.truncate(copy.root / name, size)
            return
        except OSError:
            continue


def rights(copy: Copy, rng: Random) -> None:
    """Remove the read permission of a file or folder; the trial runs without superuser rights."""
    name = rng.choice([*copy.names, *copy.folders, "manifest.json", "."])
    if name in copy.names:
        copy.write(name, copy.read(name))
    (copy.root / name).chmod(0)


def manifest_bytes(copy: Copy, rng: Random) -> None:
    """Replace the manifest by other or damaged JSON."""
    data = copy.read("manifest.json")
    kind = rng.randrange(9)
    if kind == 0:
        cut = rng.randrange(len(data))
        data = (
            data[:cut]
            + rng.randbytes(rng.randint(1, 30))
            + data[cut + rng.randint(0, 30) :]
        )
    elif kind == 1:
        cut = rng.randrange(len(data))
        data = data[:cut] + rng.choice(RAW).encode() + data[cut:]
    elif kind == 2:
        data = rng.choice(
            [
                b"\xef\xbb\xbf" + data,
                data.decode().encode("utf-16"),
                data.decode().encode("utf-32"),
            ]
        )
    elif kind == 3:
        data = rng.choice(
            [
                b"",
                b"null",
                b"[]",
                b"{}",
                b"0",
                b'"x"',
                b"\0" * 100,
                b"{" * 10_000,
                b"[" * 200_000,
            ]
        )
    elif kind == 4:
        data = b" " * rng.choice([4 << 20, 100 << 20]) + data
    elif kind == 5:
        data = (
            b'{"schema_version": 1, "config": '
            + b'{"a":' * 2000
            + b"1"
            + b"}" * 2001
        )
    elif kind == 6:
        data = data.replace(b'"digest"', b'"digest": "", "digest"', 1)
    elif kind == 7:
        data = rng.randbytes(rng.choice([10, 10_000]))
    else:
        data = (
            b'{"schema_version": 1, '
            + b",".join(b'"%d": 0' % i for i in range(100_000))
            + b"}"
        )
    copy.write("manifest.json", data)


def manifest_surgery(copy: Copy, rng: Random) -> None:
    """Apply random operations to the manifest and keep the old digest."""
    content, raw = copy.manifest(), {}
    for _ in range(rng.choice([1, 1, 2, 5])):
        raw |= operate(content, rng)
    copy.put_manifest(content, sign=False, raw=raw)


def several(copy: Copy, rng: Random) -> None:
    """Apply two other mutations."""
    for mutation in rng.sample(
        [flip, truncate, grow, extra, link_file, special], 2
    ):
        mutation(copy, rng)


BROKEN: dict[str, Callable[[Copy, Random], None]] = {
    "flipped bytes": flip,
    "truncation": truncate,
    "growth": grow,
    "deletion": delete,
    "extra files": extra,
    "renaming": rename,
    "links to files": link_file,
    "links to folders": link_folder,
    "special files": special,
    "sparse files": sparse,
    "rights taken away": rights,
    "manifest bytes": manifest_bytes,
    "manifest surgery": manifest_surgery,
    "several at once": several,
}
"""Kinds of mutation under the old digest and hashes."""
