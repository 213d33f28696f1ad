"""Engines kept on the device that built them: beside the bundle, under a fingerprint, with a hash written beside each.

::

    part.anomedge.engines/
      model.onnx.trt.4f0c...e1.1-1-8.engine        what the builder gave
      model.onnx.trt.4f0c...e1.1-1-8.engine.json   its fingerprint in full, its hash, how long it took
      trt.91b2...77.timing                         how fast the builder found which kernels; with a `.json` as well

A folder of its own beside the bundle, as the bundle's hash covers all that is inside. An engine is code for a GPU: take
such a folder from nobody whose programs you would not run.
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
from anomedge.files import (
    JsonError,
    atomic_file,
    canonical_json,
    open_plain,
    read_json,
    sha256_of_bytes,
)

__all__ = ["Batches", "Engine", "Store", "store_of"]

Batches = tuple[int, int, int]

_RECORD_LIMIT = 1 << 20
_KEY = 16
_BEING_WRITTEN = re.compile(r"\.(.+)\.[a-z0-9_]{8}\.tmp")


@dataclass(frozen=True)
class Engine:
    """A serialised engine, where it is kept, and what was written of it."""

    path: Path
    plan: bytes
    record: dict[str, Any]


@dataclass(frozen=True)
class Store:
    """Folders to look in, in order; an engine is written to the first that can be written to."""

    folders: tuple[Path, ...]
    graph: str
    runtime: str

    def find(
        self, facts: Mapping[str, Any], batches: Batches, *, exact: bool = False
    ) -> Engine | None:
        """The engine of these very facts, or None.

        Another range of batches serves where it holds the one asked for, unless `exact` or a usual size of its own was
        asked for. One whose bytes are not those that were written is not read.
        """
        key = _key(facts)
        for folder in self.folders:
            for path in self._candidates(folder, key, batches, exact):
                if (
                    engine := _read(
                        path, {**facts, "batches": list(path_batches(path))}
                    )
                ) is not None:
                    return engine
        return None

    def _candidates(
        self, folder: Path, key: str, batches: Batches, exact: bool
    ) -> list[Path]:
        own = folder / self._name(key, batches)
        if exact or batches[1] != batches[0]:
            return [own]
        others = folder.glob(
            f"{_escaped(self.graph)}.{self.runtime}.{key}.*.engine"
        )
        wider = [
            path
            for path in others
            if path != own and _holds(path_batches(path), batches)
        ]
        return [own, *sorted(wider, key=lambda path: path_batches(path)[2])]

    def keep(
        self,
        folder: Path,
        facts: Mapping[str, Any],
        batches: Batches,
        plan: bytes,
        **more: Any,
    ) -> Engine:
        """Write an engine, then what is known of it; one that it takes the place of goes.

        Raises:
            OutputError: the folder cannot be written to.
        """
        record = {"fingerprint": {**facts, "batches": list(batches)}, **more}
        path = folder / self._name(_key(facts), batches)
        written = _write(path, plan, record)
        for old in self._superseded(path, written):
            with suppress(
                OSError
            ):  # somebody else's, perhaps: it is only in the way
                old.unlink()
                _record_of(old).unlink()
        return Engine(path, plan, written)

    def _superseded(self, path: Path, record: Mapping[str, Any]) -> list[Path]:
        """Engines that differ in nothing but the driver or the state of the graph; another release's may be in use."""
        others = path.parent.glob(
            f"{_escaped(self.graph)}.{self.runtime}.*.engine"
        )
        wanted = _purpose(record)
        return [
            other
            for other in others
            if other != path and _purpose(_load(_record_of(other))) == wanted
        ]

    def timing(self, facts: Mapping[str, Any]) -> bytes:
        """The timing cache of this device, nothing without one."""
        paths = (
            folder / f"{self.runtime}.{_key(facts)}.timing"
            for folder in self.folders
        )
        found = (_read(path, facts) for path in paths)
        return next(
            (engine.plan for engine in found if engine is not None), b""
        )

    def keep_timing(
        self, folder: Path, facts: Mapping[str, Any], content: bytes
    ) -> None:
        """Write a timing cache. It only saves time, so a failure to is none."""
        with suppress(OutputError):
            _write(
                folder / f"{self.runtime}.{_key(facts)}.timing",
                content,
                {"fingerprint": dict(facts)},
            )

    def _name(self, key: str, batches: Batches) -> str:
        return f"{self.graph}.{self.runtime}.{key}.{'-'.join(str(n) for n in batches)}.engine"

    @contextmanager
    def place(self) -> Iterator[Path]:
        """The folder to write to, chosen before long work and not after it; without a word of it where that fails.

        Raises:
            OutputError: none can be written to.
        """
        folder = self._writable()
        try:
            yield folder
        finally:
            with suppress(OSError):
                folder.rmdir()  # where nothing came into it

    def _writable(self) -> Path:
        reasons = []
        for place, folder in enumerate(self.folders):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=folder):
                    pass
            except OSError as error:
                reasons.append(f"{folder}: {error.strerror or error}")
                continue
            if place:
                warnings.warn(
                    f"{reasons[0]}; the engine is kept in {folder}",
                    stacklevel=4,
                )
            return folder
        raise OutputError(
            f"no place for an engine ({'; '.join(reasons)}); give a writable folder as the cache"
        )


def store_of(path: Path, runtime: str, cache: Path | None) -> Store:
    """Where the engines of a graph's file are kept.

    The folder asked for; else beside its bundle, or where that cannot be written to, in the user's own cache.
    """
    if cache is not None:
        return Store((cache,), path.name, runtime)
    beside, users = _owner(path), _users()
    own = (
        ()
        if users is None
        else (users / sha256_of_bytes(os.fsencode(beside))[:_KEY],)
    )
    return Store((beside, *own), path.name, runtime)


def _owner(path: Path) -> Path:
    """`X.engines` beside the bundle that holds the file, else beside the file; under its final name while it is written."""
    whole = path.absolute()
    bundle = next(
        (
            folder
            for folder in list(whole.parents)[:2]
            if (folder / MANIFEST).is_file()
        ),
        whole,
    )
    final = _BEING_WRITTEN.fullmatch(bundle.name)
    return bundle.with_name(f"{final[1] if final else bundle.name}.engines")


def _users() -> Path | None:
    """The user's cache, None for a user without a home."""
    given = os.environ.get("XDG_CACHE_HOME")
    try:
        return (
            (Path(given) if given else Path.home() / ".cache")
            / "anomedge"
            / "engines"
        )
    except RuntimeError:
        return None


def path_batches(path: Path) -> Batches:
    """The range in an engine's name; one that holds nothing where it has none."""
    found = re.search(r"\.(\d+)-(\d+)-(\d+)\.engine$", path.name)
    return (int(found[1]), int(found[2]), int(found[3])) if found else (1, 1, 0)


def _purpose(record: Mapping[str, Any] | None) -> Any:
    """What an engine is for, whatever the driver and the graph are at the moment; None where its record does not say."""
    fingerprint = (record or {}).get("fingerprint")
    if not isinstance(fingerprint, dict) or not isinstance(
        fingerprint.get("device"), dict
    ):
        return None
    device = {
        name: value
        for name, value in fingerprint["device"].items()
        if name != "driver"
    }
    owner = (record or {}).get(
        "owner"
    )  # in a folder of several bundles' engines, each replaces its own
    return (
        owner,
        device,
        *(fingerprint.get(name) for name in ("version", "options", "batches")),
    )


def _holds(wide: Batches, narrow: Batches) -> bool:
    return wide[0] <= narrow[0] and narrow[2] <= wide[2]


def _key(facts: Mapping[str, Any]) -> str:
    return sha256_of_bytes(canonical_json(facts))[:_KEY]


def _escaped(text: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", text)


def _record_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _write(
    path: Path, content: bytes, record: Mapping[str, Any]
) -> dict[str, Any]:
    """First the content, then its record: a crash between the two leaves what nobody reads."""
    full = {**record, "sha256": sha256_of_bytes(content), "bytes": len(content)}
    with atomic_file(path, force=True) as temporary:
        temporary.write_bytes(content)
    with atomic_file(_record_of(path), force=True) as temporary:
        temporary.write_bytes(canonical_json(full))
    return full


def _read(path: Path, facts: Mapping[str, Any]) -> Engine | None:
    """What was written under these facts, whole; None where it is missing, another's or changed."""
    record = _load(_record_of(path))
    if record is None or record.get("fingerprint") != dict(facts):
        return None
    try:
        if path.stat().st_size != record.get("bytes"):
            return None
        with open_plain(path) as file:
            content = file.read()
    except OSError:
        return None
    return (
        Engine(path, content, record)
        if sha256_of_bytes(content) == record.get("sha256")
        else None
    )


def _load(path: Path) -> dict[str, Any] | None:
    try:
        return read_json(path, _RECORD_LIMIT, links=True)
    except (OSError, JsonError):
        return None
