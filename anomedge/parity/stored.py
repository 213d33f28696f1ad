"""The certificates that travel in a bundle. No hash covers them, so nothing in them is believed before it is checked."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

from anomedge.bundle import CERTIFICATES, Bundle
from anomedge.parity import Certificate
from anomedge.strict_json import JsonError, NotPlainError, read_json, validated

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
    found = (_read(path, bundle.manifest.digest) for path in sorted(paths))
    return [stored for stored in found if stored is not None]


def _read(path: Path, digest: str) -> StoredCertificate | None:
    """The certificate in a file; None where another process removed the file since it was listed."""
    try:
        certificate = validated(Certificate, read_json(path, _BYTES))
    except NotPlainError:
        return StoredCertificate(path.name, None, "no plain file")
    except FileNotFoundError:
        return None
    except (OSError, JsonError) as error:
        return StoredCertificate(path.name, None, f"not a certificate ({_reason(error)})")
    if certificate.bundle != digest:
        return StoredCertificate(path.name, certificate, "of another bundle: its digest is not this one's")
    return StoredCertificate(path.name, certificate)


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
