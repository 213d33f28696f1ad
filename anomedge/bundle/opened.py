"""Open and check a bundle; write its local settings."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from anomedge.bundle.checked import check_file, checked_content
from anomedge.bundle.local_place import local_source, local_target
from anomedge.bundle.local_settings import (
    LocalSettings,
    read_settings,
    write_settings,
)
from anomedge.bundle.manifest import Manifest, digest_at, read_manifest
from anomedge.bundle.members import hashed_files
from anomedge.bundle.variants import Variant
from anomedge.errors import (
    BundleError,
    InputError,
    IntegrityError,
    OutputError,
)
from anomedge.files import remove_file, safe_member
from anomedge.threshold import Decision

__all__ = [
    "Bundle",
    "assert_in_place",
    "remove_local",
    "require_outside",
    "write_local",
]

_OPEN_ATTEMPTS = 5


@dataclass(frozen=True)
class Bundle:
    """An opened bundle, with all files checked against its manifest.

    Args:
        path: its folder.
        manifest: its manifest.
        local_folder: folder of the device's settings; None for the default, see `local_place`.
    """

    path: Path
    manifest: Manifest
    local_folder: Path | None = None

    @classmethod
    def open(cls, path: Path | str, local_folder: Path | None = None) -> Bundle:
        """Open and check a bundle.

        Raises:
            BundleError: `path` is not a bundle.
            SchemaError: this release cannot read its manifest.
            IntegrityError: a file is missing, extra, changed, a link, or lies outside the folder.
        """
        root = Path(path)
        try:
            return _open_checked(root, local_folder)
        except OSError as error:
            reason = error.strerror or str(error)
            raise BundleError(
                f"{root} cannot be read ({reason}); check who may read it, or copy it again"
            ) from error

    def file(self, name: str) -> Path:
        """Return the path of a file that the manifest lists."""
        if name not in self.manifest.files:
            raise IntegrityError(
                f"{self.path}: got {name!r}; expected a file that its manifest lists"
            )
        return safe_member(self.path, name)

    def read(self, name: str) -> bytes:
        """Read a file that the manifest lists and check its hash; the content is not cached.

        Raises:
            IntegrityError: the manifest does not list the file, or its size or hash differs from the manifest's.
        """
        path, record = self.file(name), self.manifest.files[name]
        return checked_content(path, record.bytes, record.sha256)

    def variant(self, precision: str) -> Variant:
        """Return the graphs of a precision.

        Raises:
            BundleError: the bundle has no graphs of this precision.
        """
        try:
            return self.manifest.variants[precision]
        except KeyError:
            known = ", ".join(self.manifest.variants)
            raise BundleError(
                f"{self.path}: got precision {precision!r}; expected one of: {known}"
            ) from None

    @cached_property
    def local(self) -> LocalSettings | None:
        """Content of `local.json` at the first use; None without that file.

        Raises:
            SchemaError: `anomedge threshold` did not write it, it belongs to another bundle, or it has a threshold of a
                map that the bundle has not.
            BundleError: the file cannot be read.
        """
        manifest = self.manifest
        return read_settings(self.local_path, manifest.digest, manifest.has_map)

    @property
    def local_path(self) -> Path:
        """Path of `local.json` now, whether the file exists or not."""
        return local_source(self.path, self.manifest.digest, self.local_folder)

    def read_again(self) -> Bundle:
        """Return the same bundle with the content that `local.json` has now."""
        return Bundle(self.path, self.manifest, self.local_folder)

    @cached_property
    def decision(self) -> Decision:
        """Decision in force: the manifest's, overridden by `local.json`."""
        return (
            self.local.applied_to(self.manifest.decision)
            if self.local
            else self.manifest.decision
        )

    def _check_files(self) -> None:
        found = set(hashed_files(self.path))
        if missing := sorted(self.manifest.files.keys() - found):
            raise IntegrityError(
                f"{self.path}: {_some(missing)} missing; copy the bundle again, whole"
            )
        if extra := sorted(found - self.manifest.files.keys()):
            raise IntegrityError(
                f"{self.path}: {_some(extra)} not in its manifest; remove these files"
            )
        for name, record in self.manifest.files.items():
            check_file(
                safe_member(self.path, name), record.bytes, record.sha256
            )


def _open_checked(root: Path, local_folder: Path | None) -> Bundle:
    """Read the manifest and check the files; retry if an export replaced the bundle in between."""
    for attempt in range(_OPEN_ATTEMPTS):
        bundle = Bundle(root, read_manifest(root), local_folder)
        try:
            bundle._check_files()
        except (IntegrityError, OSError):
            last = attempt == _OPEN_ATTEMPTS - 1
            if last or read_manifest(root).digest == bundle.manifest.digest:
                raise
        else:
            break
    return bundle


def write_local(bundle: Bundle, settings: LocalSettings) -> Bundle:
    """Write `local.json` atomically and return the bundle with the new decision.

    Concurrent readers see the old or the new file. With concurrent writers, the last one wins.

    Raises:
        InputError: the folder of settings lies in the bundle.
        OutputError: the file cannot be written, or another bundle replaced this one after opening.
    """
    require_outside(bundle, bundle.local_folder)
    target = _target(bundle)
    if target.parent != bundle.path:
        _create(target.parent)
    write_settings(
        target,
        bundle.manifest.digest,
        settings,
        lambda: assert_in_place(bundle),
    )
    return bundle.read_again()


def remove_local(bundle: Bundle) -> Bundle:
    """Remove `local.json` if it exists, and return the bundle with the manifest's decision.

    Raises:
        OutputError: the file cannot be removed, or another bundle replaced this one after opening.
    """
    assert_in_place(bundle)
    remove_file(_target(bundle))
    # A bundle that cannot be written may have its own.
    remaining = bundle.local_path
    if os.path.lexists(remaining):
        raise OutputError(
            f"{remaining} is in force and cannot be removed: its bundle cannot be written; set the manifest's threshold "
            f"({bundle.manifest.decision.threshold!r}) with --set"
        )
    return bundle.read_again()


def _target(bundle: Bundle) -> Path:
    digest = bundle.manifest.digest
    return local_target(bundle.path, digest, bundle.local_folder)


def _create(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"cannot create {folder}: {reason}; give a folder that can be written with --local"
        ) from error


def assert_in_place(bundle: Bundle) -> None:
    """Raise an error if the path no longer holds the bundle that was opened; call this before writing into it.

    Raises:
        OutputError: the path holds another bundle, or an incomplete one.
    """
    there, digest = digest_at(bundle.path), bundle.manifest.digest
    if there != digest:
        found = (
            "no whole bundle"
            if there is None
            else f"another bundle ({there[:12]})"
        )
        raise OutputError(
            f"nothing was written into {bundle.path}: got {found} there; expected the one that was opened ({digest[:12]}): "
            f"run the command again"
        )


def require_outside(bundle: Bundle, *outputs: Path | None) -> None:
    """Refuse outputs in the bundle: with a file that its manifest does not list, it no longer opens.

    Raises:
        InputError: one lies in the bundle.
    """
    root = bundle.path.resolve()
    for path in outputs:
        if path is not None and path.resolve().is_relative_to(root):
            raise InputError(
                f"got {path} inside {bundle.path}; expected a place outside: a bundle holds the files of its manifest only"
            )


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
