"""Checkpoints to mutate, made for the run, and a writer of their zip files."""

import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

__all__ = ["PICKLE", "Checkpoint", "make_checkpoints"]

PICKLE = "archive/data.pkl"


class Checkpoint:
    """A file of torch.save: its bytes, and its members by name."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.content = path.read_bytes()
        with zipfile.ZipFile(path) as file:
            names = file.namelist()
            root = names[0].split("/")[0]
            self.members = {
                name.replace(f"{root}/", "archive/", 1): file.read(name)
                for name in names
            }

    @property
    def pickle(self) -> bytes:
        """Its pickle."""
        return self.members[PICKLE]

    def with_pickle(self, pickle: bytes) -> bytes:
        """Return a file with another pickle and a true CRC, as a forger would write it."""
        return zipped([*(self.members | {PICKLE: pickle}).items()])


def zipped(members: list[tuple[str, bytes]]) -> bytes:
    """Return a zip file of stored members; two may have the same name."""
    from zlib import crc32

    local, directory = bytearray(), bytearray()
    for name, data in members:
        stated = (crc32(data), len(data), len(data), len(name))
        directory += b"PK\x01\x02" + struct.pack(
            "<HHHHHHIIIHHHHHII", 0, 0, 0, 0, 0, 0, *stated, 0, 0, 0, 0, 0, len(local)
        ) + name.encode()  # fmt: skip
        local += b"PK\x03\x04" + struct.pack("<HHHHHIIIHH", 0, 0, 0, 0, 0, *stated, 0) + name.encode() + data  # fmt: skip
    count = len(members)
    end = struct.pack(
        "<IHHHHIIH", 0x06054B50, 0, 0, count, count, len(directory), len(local), 0
    )  # fmt: skip
    return bytes(local + directory + end)


def make_checkpoints(folder: Path) -> list[Checkpoint]:
    """Write and read the files; torch is imported here."""
    import torch

    made = {
        "state": (_state(torch), 2),
        "module": (_module(torch), 2),
        "plain": (_plain(), 5),
        "old": (_state(torch), 4),
    }
    found = []
    for name, (value, protocol) in made.items():
        torch.save(value, folder / f"{name}.pt", pickle_protocol=protocol)
        found.append(Checkpoint(folder / f"{name}.pt"))
    return found


def _state(torch: Any) -> dict[str, Any]:
    """Return a Lightning checkpoint in small: shared, strided, empty and expanded tensors of many types."""
    whole = torch.arange(48, dtype=torch.float32).reshape(6, 8)
    types = (torch.float16, torch.bfloat16, torch.int64, torch.uint16, torch.bool, torch.complex64)  # fmt: skip
    state = OrderedDict(
        {
            "whole": whole,
            "rows": whole[1:3],
            "columns": whole[:, ::3],
            "transposed": whole.t(),
            "empty": whole[:0],
            "scalar": torch.tensor(3.0),
            "expanded": torch.ones(1).expand(4, 4),
            "parameter": torch.nn.Parameter(torch.rand(5)),
            "text": "a.b.C",
        }
    )
    for dtype in types:
        state[f"model.{dtype}"] = torch.ones(7).to(dtype)
    return {
        "epoch": 1,
        "state_dict": state,
        "hyper_parameters": {"layers": ["layer1", "layer2"], "size": (64, 64)},
        "callbacks": {"best": {"score": torch.tensor(0.5)}},
    }


def _module(torch: Any) -> Any:
    """Return a module, which is pickled whole, with a cycle and a bound method."""
    block = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU()
    )
    whole = torch.nn.ModuleDict({"block": block, "head": torch.nn.Linear(4, 2)})
    whole.itself = [whole]
    whole.method = block.extra_repr
    return {"model": whole}


def _plain() -> Any:
    """Return plain values of every kind, with a cycle."""
    cycle: list[Any] = [1]
    cycle.append(cycle)
    numbers = [0, -1, 255, 70_000, 1 << 40, -(1 << 100), 0.5, float("nan")]
    keys = {(1, "a"): 1, "b": 2, 3: None, True: False}
    sets = [{1, 2}, frozenset({"a"})]
    texts = ["", "text", "\u1234", b"", b"\xff" * 300, bytearray(b"b")]
    return {"cycle": cycle, "numbers": numbers, "keys": keys, "sets": sets, "texts": texts}  # fmt: skip
