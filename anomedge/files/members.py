"""Resolve names of files that an untrusted manifest lists."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from anomedge.errors import IntegrityError

__all__ = ["safe_member"]


def safe_member(root: Path, name: str) -> Path:
    """Return the path of the member `name` of the folder `root`.

    Raises:
        IntegrityError: `name` is not a plain relative path with forward slashes, or leads through a link.
    """
    pure = PurePosixPath(name)
    plain = (
        name == str(pure)
        and not pure.is_absolute()
        and ".." not in pure.parts
        and name not in {"", "."}
    )
    if not plain or "\\" in name or "\0" in name or ":" in name:
        raise IntegrityError(
            f"got the member {name!r}; expected a plain path inside {root}: do not use this bundle"
        )
    path = root
    for part in pure.parts:
        path = path / part
        if path.is_symlink():
            raise IntegrityError(
                f"{path} is a link; expected a plain file: copy the bundle with its links resolved"
            )
    return path
