"""Cache of engines on the device that built them, beside the bundle, under a fingerprint.

::

    part.anomedge.engines/
      model.onnx.trt.4f0c...e1.1-1-8.engine        serialised engine
      model.onnx.trt.4f0c...e1.1-1-8.engine.json   fingerprint, hash, build time
      trt.91b2...77.timing                         timing cache; with a `.json` too

The folder lies beside the bundle because the bundle's hash covers all files
inside. An engine is code for a GPU: do not use a cache from an untrusted source.
"""

from __future__ import annotations

import os
import re
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anomedge.bundle import MANIFEST
from anomedge.errors import OutputError
from anomedge.files import sha256_of_bytes
from anomedge.runtimes.options import Batches
from anomedge.runtimes.tensorrt.cache_records import (
    CachedEngine,
    batches_in_name,
    key_of,
    purpose_of,
    read_entry,
    read_record,
    record_path,
    write_entry,
)

__all__ = ["CachedEngine", "EngineCache", "engine_cache"]

_OWNER_LENGTH = 16
_TEMPORARY_NAME = re.compile(r"\.(.+)\.[a-z0-9_]{8}\.tmp")


@dataclass(frozen=True)
class EngineCache:
    """The engines of one graph under one runtime.

    Args:
        folders: folders to search, in order; engines are written to the first
            writable one.
        graph: file name of the graph.
        runtime: short name of the runtime.
    """

    folders: tuple[Path, ...]
    graph: str
    runtime: str

    def find(
        self, facts: Mapping[str, Any], batches: Batches, *, exact: bool = False
    ) -> CachedEngine | None:
        """Return the engine of these facts, or None.

        An engine of a wider range of batches is accepted, unless `exact` is set or
        the typical batch differs from the smallest. An engine with changed
        bytes is never returned.
        """
        for folder in self.folders:
            for path in self._candidates(folder, facts, batches, exact):
                built_for = list(batches_in_name(path))
                engine = read_entry(path, {**facts, "batches": built_for})
                if engine is not None:
                    return engine
        return None

    def _candidates(
        self,
        folder: Path,
        facts: Mapping[str, Any],
        batches: Batches,
        exact: bool,
    ) -> list[Path]:
        key = key_of(facts)
        own = folder / self._name(key, batches)
        if exact or batches[1] != batches[0]:
            return [own]
        wider = [
            path
            for path in folder.glob(f"{self._pattern}.{key}.*.engine")
            if path != own and _contains(batches_in_name(path), batches)
        ]
        return [own, *sorted(wider, key=_largest_batch)]

    def save(
        self,
        folder: Path,
        facts: Mapping[str, Any],
        batches: Batches,
        plan: bytes,
        **more: Any,
    ) -> CachedEngine:
        """Write the engine and its record; delete superseded engines.

        Args:
            folder: folder to write to, of `writable_folder`.
            facts: all facts that the engine depends on, except its batches.
            batches: smallest, typical and largest batch.
            plan: the serialised engine.
            more: further entries of the record.

        Raises:
            OutputError: the folder cannot be written to.
        """
        record = {"fingerprint": {**facts, "batches": list(batches)}, **more}
        path = folder / self._name(key_of(facts), batches)
        written = write_entry(path, plan, record)
        for superseded in self._superseded(path, written):
            # Another user's file may not be deletable; it only takes space.
            with suppress(OSError):
                superseded.unlink()
                record_path(superseded).unlink()
        return CachedEngine(path, plan, written)

    def _superseded(self, path: Path, record: Mapping[str, Any]) -> list[Path]:
        """Return engines that differ only in driver or graph.

        Engines of another release may be in use and are kept.
        """
        purpose = purpose_of(record)
        others = path.parent.glob(f"{self._pattern}.*.engine")
        return [
            other
            for other in others
            if other != path
            and purpose_of(read_record(record_path(other))) == purpose
        ]

    def load_timing(self, facts: Mapping[str, Any]) -> bytes:
        """Return the timing cache of these facts; empty if there is none."""
        for folder in self.folders:
            entry = read_entry(folder / self._timing_name(facts), facts)
            if entry is not None:
                return entry.plan
        return b""

    def save_timing(
        self, folder: Path, facts: Mapping[str, Any], content: bytes
    ) -> None:
        """Write a timing cache; ignore a failure, because it only saves time."""
        record = {"fingerprint": dict(facts)}
        with suppress(OutputError):
            write_entry(folder / self._timing_name(facts), content, record)

    def _timing_name(self, facts: Mapping[str, Any]) -> str:
        return f"{self.runtime}.{key_of(facts)}.timing"

    def _name(self, key: str, batches: Batches) -> str:
        sizes = "-".join(str(batch) for batch in batches)
        return f"{self.graph}.{self.runtime}.{key}.{sizes}.engine"

    @property
    def _pattern(self) -> str:
        """Start of the names of this cache's engines, escaped for `glob`."""
        escaped = re.sub(r"([*?\[])", r"[\1]", self.graph)
        return f"{escaped}.{self.runtime}"

    @contextmanager
    def writable_folder(self) -> Iterator[Path]:
        """Yield a writable folder, chosen before long work; remove it if left empty.

        Raises:
            OutputError: no folder can be written to.
        """
        folder = self._first_writable()
        try:
            yield folder
        finally:
            with suppress(OSError):
                folder.rmdir()

    def _first_writable(self) -> Path:
        faults: list[str] = []
        for folder in self.folders:
            fault = _write_fault(folder)
            if not fault:
                if faults:
                    warnings.warn(
                        f"{faults[0]}; the engine is kept in {folder}",
                        stacklevel=4,
                    )
                return folder
            faults.append(fault)
        raise OutputError(
            f"no place for an engine ({'; '.join(faults)}); "
            f"give a writable folder as the cache"
        )


def engine_cache(path: Path, runtime: str, cache: Path | None) -> EngineCache:
    """Return the cache of a graph's engines.

    Args:
        path: file of the graph.
        runtime: short name of the runtime.
        cache: the user's folder; when None, a folder beside the bundle, or in the
            user's cache if that cannot be written to.
    """
    if cache is not None:
        return EngineCache((cache,), path.name, runtime)
    folders = [_folder_beside(path)]
    user_cache = _user_cache()
    if user_cache is not None:
        owner = sha256_of_bytes(os.fsencode(folders[0]))[:_OWNER_LENGTH]
        folders.append(user_cache / owner)
    return EngineCache(tuple(folders), path.name, runtime)


def _folder_beside(path: Path) -> Path:
    """Return `X.engines` beside the bundle that contains the file, else beside the file.

    A bundle that is being written has a temporary name; the final name is used.
    """
    owner = path.absolute()
    for folder in list(owner.parents)[:2]:
        if (folder / MANIFEST).is_file():
            owner = folder
            break
    temporary = _TEMPORARY_NAME.fullmatch(owner.name)
    name = temporary[1] if temporary else owner.name
    return owner.with_name(f"{name}.engines")


def _user_cache() -> Path | None:
    """Return the user's cache folder; None for a user without a home."""
    given = os.environ.get("XDG_CACHE_HOME")
    try:
        root = Path(given) if given else Path.home() / ".cache"
    except RuntimeError:
        return None
    return root / "anomedge" / "engines"


def _write_fault(folder: Path) -> str:
    """Create a folder and a file in it; return the reason of a failure, or ""."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return f"{folder}: {error.strerror or error}"


def _contains(wide: Batches, narrow: Batches) -> bool:
    return wide[0] <= narrow[0] and narrow[2] <= wide[2]


def _largest_batch(path: Path) -> int:
    return batches_in_name(path)[2]
