"""Copy of a bundle for mutation: files are hard links to the original until they are replaced."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["Copy", "canonical", "walk_json"]

_MANIFEST = "manifest.json"


class Copy:
    """A copy of `original` at `root`, and a folder `outside` it with files that must not be read.

    Change files through `write` only: writing through a hard link would change the original.
    """

    def __init__(
        self,
        original: Path,
        root: Path,
        outside: Path,
        link: Callable[..., Any] = os.link,
    ) -> None:
        self.original, self.root, self.outside = original, root, outside
        shutil.copytree(original, root, copy_function=link)
        self.names = sorted(
            p.relative_to(root).as_posix()
            for p in root.rglob("*")
            if p.is_file()
        )
        self.listed = [
            n
            for n in self.names
            if n != _MANIFEST and not n.startswith("certificates/")
        ]
        self.folders = sorted(
            p.relative_to(root).as_posix()
            for p in root.rglob("*")
            if p.is_dir()
        )

    def read(self, name: str) -> bytes:
        """Return the original's bytes."""
        return (self.original / name).read_bytes()

    def remove(self, name: str) -> Path:
        """Remove a file or folder and return its path; create its parent folders."""
        path = self.root / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
        return path

    def write(self, name: str, data: bytes) -> None:
        """Replace a file by other bytes."""
        self.remove(name).write_bytes(data)

    def manifest(self) -> dict[str, Any]:
        """Return a copy of the original's manifest."""
        content: dict[str, Any] = json.loads(self.read(_MANIFEST))
        return content

    def put_manifest(
        self, content: Any, *, sign: bool, raw: dict[str, str] | None = None
    ) -> None:
        """Write a manifest; `raw` replaces strings by text that no JSON writer produces, `sign` recomputes the digest."""
        text = _with_raw(_dumped(content), raw)
        if sign and isinstance(content, dict):
            text = _with_raw(_dumped(content | {"digest": _digest(text)}), raw)
        self.write(_MANIFEST, text.encode("utf-8", "surrogatepass"))

    def sign(self, content: dict[str, Any] | None = None) -> None:
        """List all files with their true sizes and hashes, and recompute the manifest's digest."""
        content = self.manifest() if content is None else content
        content["files"] = {
            name: _record(path) for name, path in self._present()
        }
        self.put_manifest(content, sign=True)

    def _present(self) -> list[tuple[str, Path]]:
        paths = {
            p.relative_to(self.root).as_posix(): p
            for p in self.root.rglob("*")
            if p.is_file()
        }
        return [
            (n, p)
            for n, p in sorted(paths.items())
            if n not in {_MANIFEST, "local.json"} and "certificates" not in n
        ]


def canonical(content: Any) -> bytes:
    """Return canonical JSON as anomedge writes it, without its checks."""
    return (_dumped(content) + "\n").encode("utf-8", "surrogatepass")


def walk_json(
    content: Any, path: tuple[Any, ...] = ()
) -> list[tuple[Any, ...]]:
    """Yield the position of every value of a JSON document, containers included."""
    places = [path] if path else []
    children = (
        content.items()
        if isinstance(content, dict)
        else enumerate(content)
        if isinstance(content, list)
        else ()
    )
    for key, child in children:
        places += walk_json(child, (*path, key))
    return places


def _dumped(content: Any) -> str:
    return json.dumps(content, sort_keys=True, indent=2, ensure_ascii=False)


def _with_raw(text: str, raw: dict[str, str] | None) -> str:
    for marker, token in (raw or {}).items():
        text = text.replace(json.dumps(marker), token)
    return text


def _digest(text: str) -> str:
    """Return the digest that anomedge computes for a manifest."""
    try:
        parsed = json.loads(text)
        unsigned = {
            key: value for key, value in parsed.items() if key != "digest"
        }
        return hashlib.sha256(canonical(unsigned)).hexdigest()
    except (ValueError, RecursionError):
        return "0" * 64


def _record(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
