"""Open and check a bundle; write its local settings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from anomedge.bundle.checked import check_file, checked_content
from anomedge.bundle.local_settings import (
    LOCAL,
    LocalSettings,
    read_settings,
    write_settings,
)
from anomedge.bundle.manifest import Manifest, digest_at, read_manifest
from anomedge.bundle.members import hashed_files
from anomedge.bundle.variants import Variant
from anomedge.errors import BundleError, IntegrityError, OutputError
from anomedge.files import remove_file, safe_member
from anomedge.threshold import Decision

__all__ = ["Bundle", "assert_in_place", "remove_local", "write_local"]

_OPEN_ATTEMPTS = 5


@dataclass(frozen=True)
class Bundle:
    """An opened bundle, with all files checked against its manifest."""

    path: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: Path | str) -> Bundle:
        """Open and check a bundle.

        Raises:
            BundleError: `path` is not a bundle.
            SchemaError: this release cannot read its manifest.
            IntegrityError: a file is missing, extra, changed, a link, or lies outside the folder.
        """
        root = Path(path)
        try:
            return _open_checked(root)
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
        """Content of `local.json`; None without that file.

        Raises:
            SchemaError: `anomedge threshold` did not write it, it belongs to another bundle, or it has a threshold of a
                map that the bundle has not.
            BundleError: the file cannot be read.
        """
        manifest = self.manifest
        return read_settings(self.path, manifest.digest, manifest.has_map)

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


def _open_checked(root: Path) -> Bundle:
    """Read the manifest and check the files; retry if an export replaced the bundle in between."""
    for attempt in range(_OPEN_ATTEMPTS):
        bundle = Bundle(root, read_manifest(root))
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
        OutputError: the bundle is not writable, or another bundle replaced it after opening.
    """
    write_settings(
        bundle.path,
        bundle.manifest.digest,
        settings,
        lambda: assert_in_place(bundle),
    )
    return Bundle(bundle.path, bundle.manifest)


def remove_local(bundle: Bundle) -> Bundle:
    """Remove `local.json` if it exists, and return the bundle with the manifest's decision.

    Raises:
        OutputError: the bundle is not writable, or another bundle replaced it after opening.
    """
    assert_in_place(bundle)
    remove_file(bundle.path / LOCAL)
    return Bundle(bundle.path, bundle.manifest)


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


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
