"""The certificates that travel in a bundle. No hash covers them, so nothing in them is believed before it is checked."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from anomedge.bundle import CERTIFICATES, Bundle
from anomedge.parity import Certificate

__all__ = ["StoredCertificate", "stored_certificates"]

_BYTES = 1 << 20
_FILES = 100


@dataclass(frozen=True)
class StoredCertificate:
    """A file below `certificates/`: what it says, or why it says nothing of this bundle."""

    name: str
    certificate: Certificate | None
    objection: str = ""


def stored_certificates(bundle: Bundle) -> list[StoredCertificate]:
    """Every certificate of the bundle, by name; the first hundred of them."""
    folder = bundle.path / CERTIFICATES
    if folder.is_symlink() or not folder.is_dir():
        return []
    paths = itertools.islice(folder.glob("*.json"), _FILES)
    return [_read(path, bundle.manifest.digest) for path in sorted(paths)]


def _read(path: Path, digest: str) -> StoredCertificate:
    try:
        if path.is_symlink() or not path.is_file():
            return StoredCertificate(path.name, None, "no plain file")
        if (size := path.stat().st_size) > _BYTES:
            return StoredCertificate(path.name, None, f"{size} bytes; a certificate has at most {_BYTES}")
        certificate = Certificate.model_validate(json.loads(path.read_bytes()))
    except (OSError, ValueError, RecursionError) as error:
        return StoredCertificate(path.name, None, f"not a certificate ({_reason(error)})")
    if certificate.bundle != digest:
        return StoredCertificate(path.name, certificate, "of another bundle: its digest is not this one's")
    return StoredCertificate(path.name, certificate)


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc'])[:80]}: {first['msg'][:120]}"
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
