"""Mutations of checkpoints: bytes, zip structures, opcodes, and grafted attacks."""

import pickletools
import struct
from collections.abc import Callable
from random import Random

from _checkpoints import PICKLE, Checkpoint, zipped

__all__ = ["ATTACKS", "KINDS"]

Mutation = Callable[[Checkpoint, Random], bytes]
_STRUCTURES = (b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"PK\x07\x08")  # fmt: skip
_NUMBERS = (0, 1, 2, 0x7F, 0xFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x100000000, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF)  # fmt: skip


def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


_MARKED = "ANOMEDGE_FUZZ_RAN"
_CODE = _text(f"open('{_MARKED}', 'w')")
_ARGUMENT = b"(" + _CODE + b"t"
_TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n"
ATTACKS: dict[str, bytes] = {
    "os.system": b"cos\nsystem\n(" + _text(f"touch {_MARKED}") + b"tR",
    "eval": b"cbuiltins\neval\n" + _ARGUMENT + b"R",
    "exec of Python 2": b"c__builtin__\nexec\n" + _ARGUMENT + b"R",
    "instance": b"(" + _CODE + b"ibuiltins\nexec\n",
    "object": b"(cbuiltins\nexec\n" + _CODE + b"o",
    "new object": b"csubprocess\nPopen\n" + _ARGUMENT + b"\x81",
    "new object with keywords": b"csubprocess\nPopen\n" + _ARGUMENT + b"}\x92",
    "getattr chain": b"cbuiltins\ngetattr\n(cbuiltins\ngetattr\n(cos\npath\n" + _text("os") + b"tR" + _text("system") + b"tR" + _ARGUMENT + b"R",
    "dotted name": _text("torch") + _text("serialization.os.system") + b"\x93" + _ARGUMENT + b"R",
    "build on a function": _TENSOR + b"}" + _text("__code__") + b"Nsb",
    "build on a class": b"ccollections\nOrderedDict\n}" + _text("__reduce__") + b"Nsb",
    "build with slots": b"ctorch.nn.modules.linear\nLinear\n)\x81N}" + _text("__class__") + b"cos\nsystem\ns\x86b",
    "setitem on a class": b"cos\nenviron\n" + _text("PATH") + _text("x") + b"s",
    "extension": b"\x82\x01",
    "persistent id": b"(" + _text("storage") + b"cos\nsystem\n" + _text("../../data.pkl") + _text("cpu") + b"K\x01tQ",
    "text as persistent id": b"Pos.system\n",
    "huge tensor": _TENSOR + b"(" + _text("x") + b"K\x00\x8a\x06\xff\xff\xff\xff\xff\x7f\x85K\x00\x85\x89}tR",
    "billion laughs": b")" + b"2\x86" * 200,
    "laughs as a key": b"})" + b"2\x86" * 200 + b"Ns",
    "laughs as an item": b"\x8f()" + b"2\x86" * 200 + b"\x90",
    "deep tuples": b"N" + b"\x85" * 20_000,
    "deep lists": b"]" * 20_000 + b"a" * 19_999,
    "marks": b"(" * 20_000,
    "memo": b"N" + b"".join(b"r" + struct.pack("<I", k) for k in range(20_000)),
    "colliding keys": b"}(" + b"".join(b"\x8a\x11" + (k * ((1 << 61) - 1)).to_bytes(17, "little") + b"N" for k in range(3000)) + b"u",
    "copies": b"](" + b"K\x01" * 1000 + b"e\x85q\x070](" + b"cbuiltins\nset\nh\x07R" * 3000 + b"e",
    "4 GB of text": b"X\xff\xff\xff\xff",
    "2^62 bytes": b"\x8e" + struct.pack("<Q", 1 << 62),
    "2 GB of integer": b"\x8b\xff\xff\xff\x7f",
    "million digits": b"I" + b"9" * 1_000_000 + b"\n",
    "many digits": b"L" + b"9" * 50_000 + b"L\n",
    "text of protocol 0": b"Vtext \\u1234\n" + b"S'\\q\\x41'\n\x86" + b"I01\nF1e400\n\x86\x86",
    "long line": b"V" + b"a" * 1_000_000 + b"\n",
    "lists": b"](" + b"]" * 500_000 + b"e",
    "sets": b"](" + b"\x8f" * 500_000 + b"e",
    "large memo": b"N" + b"".join(b"r" + struct.pack("<I", k) for k in range(300_000)),
    "wide text": _text("a" * 3_000_000) + b"X\x04\x00\x30\x00" + b"a" * 0x300000 + "\U0001f600".encode(),
    "self-reference": b"]q\x07h\x07ah\x07}h\x07h\x07s",
    "rebuilding itself": b"ctorch._tensor\n_rebuild_from_type_v2\nq\x070ctorch\nTensor\nq\x080h\x07" + b"(h\x07h\x08" * 900 + b")" + b"Nt" * 900 + b"R",
}  # fmt: skip


def flipped(content: bytes, rng: Random) -> bytes:
    """Change up to eight bytes."""
    made = bytearray(content)
    for _ in range(rng.randint(1, 8)):
        made[rng.randrange(len(made))] ^= 1 << rng.randrange(8)
    return bytes(made)


def cut(content: bytes, rng: Random) -> bytes:
    """Delete, insert or repeat a part."""
    start = rng.randrange(len(content))
    end = min(len(content), start + rng.choice([1, 4, 64, 4096]))
    middle = rng.choice(
        [b"", content[start:end] * 2, rng.randbytes(rng.choice([1, 8, 512]))]
    )
    return content[:start] + middle + content[end:]


def ended(content: bytes, rng: Random) -> bytes:
    """Cut off the end, or append bytes."""
    if rng.random() < 0.3:
        return content + rng.randbytes(rng.choice([1, 22, 4096]))
    return content[: rng.randrange(len(content))]


def structures(content: bytes, rng: Random) -> bytes:
    """Change fields of zip structures to values at limits, in up to three places."""
    made = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        signature = rng.choice([s for s in _STRUCTURES if s in content])
        places = [k for k in range(len(content)) if content.startswith(signature, k)] if len(content) < 1 << 18 else [content.find(signature)]  # fmt: skip
        form = rng.choice(["<B", "<H", "<I", "<Q"])
        place = rng.choice(places) + rng.randrange(4, 50)
        value = rng.choice([*_NUMBERS, rng.getrandbits(64), len(content)])
        size = struct.calcsize(form)
        if place + size <= len(made):
            made[place : place + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")  # fmt: skip
    return bytes(made)


def members(checkpoint: Checkpoint, rng: Random) -> bytes:
    """Remove, repeat, rename, empty or exchange members."""
    made = [*checkpoint.members.items()]
    for _ in range(rng.randint(1, 3)):
        place, other = rng.randrange(len(made)), rng.randrange(len(made))
        name, data = made[place]
        made[place : place + 1] = rng.choice(
            [
                [],
                [(name, data)] * 2,
                [(made[other][0], data)],
                [(name, b"")],
                [(name, data + bytes(rng.choice([1, 1 << 16])))],
                [(name, made[other][1])],
                [(rng.choice(["archive/byteorder", "archive/constants.pkl", "../x", "/etc/passwd", "archive/" + "n" * 600]), rng.choice([b"big", data]))],
            ]
        )  # fmt: skip
        if not made:
            break
    return zipped(made)


def parts_of(pickle: bytes) -> list[bytes]:
    """Return the opcodes of a pickle, each with its argument."""
    starts = [place for _, _, place in pickletools.genops(pickle)]
    pairs = zip(starts, [*starts[1:], len(pickle)], strict=True)
    return [pickle[start:end] for start, end in pairs]


def opcodes(checkpoint: Checkpoint, rng: Random) -> bytes:
    """Delete, repeat, exchange, move or replace opcodes."""
    parts = parts_of(checkpoint.pickle)
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        place, other = rng.randrange(len(parts)), rng.randrange(len(parts))
        block = parts[place : place + rng.choice([1, 2, 10])]
        change = rng.randrange(6)
        if change == 0:
            del parts[place : place + len(block)]
        elif change == 1:
            parts[place:place] = block * rng.choice([1, 2, 1000])
        elif change == 2:
            parts[place], parts[other] = parts[other], parts[place]
        elif change == 3:
            parts[other:other] = block
        elif change == 4:
            code = rng.choice(pickletools.opcodes).code.encode("latin1")
            parts[place] = code + rng.choice([b"", parts[place][1:], rng.randbytes(4)])  # fmt: skip
        else:
            parts[place] = parts[place][:1] + rng.randbytes(len(parts[place]) - 1)  # fmt: skip
        if not parts:
            break
    return checkpoint.with_pickle(b"".join(parts))


def numbers(checkpoint: Checkpoint, rng: Random) -> bytes:
    """Replace integers: sizes, strides, offsets, storage sizes and memo indices."""
    parts = parts_of(checkpoint.pickle)
    integers = [k for k, part in enumerate(parts) if part[:1] in b"KMJ\x8a"]
    for place in rng.sample(integers, min(len(integers), rng.choice([1, 3, 9]))):  # fmt: skip
        value = rng.choice([*_NUMBERS, rng.getrandbits(8), rng.getrandbits(20)])
        value *= rng.choice([1, -1])
        data = value.to_bytes(9, "little", signed=True)
        parts[place] = b"\x8a\x09" + data
    return checkpoint.with_pickle(b"".join(parts))


def attacks(checkpoint: Checkpoint, rng: Random) -> bytes:
    """Insert an attack, before a POP or as a value of the checkpoint."""
    parts = parts_of(checkpoint.pickle)
    for _ in range(rng.choice([1, 1, 2])):
        attack = ATTACKS[rng.choice([*ATTACKS])]
        end = rng.choice([b"0", b"", b"", b"."])
        parts.insert(rng.randrange(1, len(parts) + 1), attack + end)
    return checkpoint.with_pickle(b"".join(parts))


def alone(_: Checkpoint, rng: Random) -> bytes:
    """Write an attack as the whole pickle, in any protocol, after another one or not."""
    bodies = [ATTACKS[rng.choice([*ATTACKS])] for _ in range(rng.choice([1, 1, 2]))]  # fmt: skip
    head = rng.choice([b"", b"\x80\x02", b"\x80\x04"])
    pickle = head + rng.choice([b"", b"0"]).join(bodies) + b"."
    return zipped([(PICKLE, pickle), ("archive/data/0", bytes(8))])


def _of_file(change: Callable[[bytes, Random], bytes]) -> Mutation:
    return lambda checkpoint, rng: change(checkpoint.content, rng)


def _of_pickle(change: Callable[[bytes, Random], bytes]) -> Mutation:
    return lambda checkpoint, rng: checkpoint.with_pickle(
        change(checkpoint.pickle, rng)
    )


KINDS: dict[str, Mutation] = {
    "file: bytes": _of_file(flipped),
    "file: parts": _of_file(cut),
    "file: its end": _of_file(ended),
    "zip: fields": _of_file(structures),
    "zip: members": members,
    "pickle: bytes": _of_pickle(flipped),
    "pickle: parts": _of_pickle(cut),
    "pickle: opcodes": opcodes,
    "pickle: numbers": numbers,
    "pickle: grafted attacks": attacks,
    "pickle: attacks alone": alone,
}
