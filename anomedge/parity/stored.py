"""Certificates stored in a bundle: untrusted records, not covered by any hash or signature.

The verdict is recomputed from the rows. A certificate whose digests do not match the bundle's current state is shown as
not about this bundle. Rows of a stored file are never copied into a new certificate: an earlier certificate of the same
name that still matches is kept as a separate file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from anomedge.bundle import CERTIFICATES, Bundle, assert_in_place
from anomedge.bundle.variants import FORMATS
from anomedge.files import (
    JsonError,
    NotPlainError,
    atomic_file,
    canonical_json,
    read_json,
)
from anomedge.parity.certificate import Certificate
from anomedge.parity.records import BUNDLE
from anomedge.parity.reference import GOLDEN, ORIGINALS
from anomedge.parity.subject import digest_of_decision, digest_of_golden
from anomedge.parity.tolerances import TOLERANCES
from anomedge.runtimes import variant_of

__all__ = [
    "HOST",
    "StoredCertificate",
    "keep_certificate",
    "plain_name",
    "stored_certificates",
    "vouching_certificate",
]

HOST = "host"
"""Name of eager Torch's certificate, reserved for proofs with a model."""

_BYTES = 1 << 20
_FILES = 100
_OLD_SCHEMA = "made by an older release, without digests of its subject: run anomedge verify"


@dataclass(frozen=True)
class StoredCertificate:
    """A file below `certificates/`: its certificate, if readable, and the reason why it does not apply, if any."""

    name: str
    certificate: Certificate | None
    objection: str = ""

    @property
    def passed(self) -> bool | None:
        """The verdict from the certificate's rows; None if it is not about this bundle."""
        if self.certificate is None or self.objection:
            return None
        return self.certificate.passed

    @property
    def verdict(self) -> str:
        """The verdict in words."""
        if self.certificate is None or self.objection:
            ignored = self.certificate is None
            reason = "ignored" if ignored else "not about this bundle"
            return f"{reason}: {self.objection}"
        if not self.certificate.passed:
            return f"FAILED: {self.certificate.failures[0]}"
        return "; ".join(["passed", *self.certificate.cautions])


def stored_certificates(bundle: Bundle) -> list[StoredCertificate]:
    """Read the certificates of the bundle, sorted by name; at most a hundred."""
    folder = bundle.path / CERTIFICATES
    if folder.is_symlink() or not folder.is_dir():
        return []
    return _read_all(sorted(folder.glob("*.json"))[:_FILES], bundle)


def _read_all(paths: Iterable[Path], bundle: Bundle) -> list[StoredCertificate]:
    found = (_read(path, bundle) for path in paths)
    return [stored for stored in found if stored is not None]


def vouching_certificate(bundle: Bundle) -> str:
    """Return the name of a passing eager Torch certificate for the bundle's golden frames; empty if there is none.

    Local thresholds are ignored, because they do not change golden scores.
    """
    manifest = bundle.manifest
    golden = digest_of_golden(manifest)
    for stored in stored_certificates(bundle):
        proof = stored.certificate
        if (
            proof is None
            or proof.reference == GOLDEN
            or proof.reference not in ORIGINALS
            or not proof.passed
        ):
            continue
        if (proof.bundle, proof.about.golden) == (manifest.digest, golden):
            return stored.name
    return ""


def keep_certificate(
    bundle: Bundle, name: str, certificate: Certificate
) -> None:
    """Write a certificate if it passed; remove what it supersedes from earlier certificates of the same name.

    A failed certificate supersedes as well. Rows of other runtimes and precisions move to a separate file. A failed check of
    the bundle itself refutes every certificate about this bundle: all of them are removed.

    Raises:
        OSError, OutputError: the bundle cannot be written to, or another one has taken its place since it was opened.
    """
    assert_in_place(bundle)
    folder = bundle.path / CERTIFICATES
    folder.mkdir(exist_ok=True)
    stem = plain_name(name)
    main = folder / f"{stem}.json"
    if any(
        check.runtime == BUNDLE and not check.passed
        for check in certificate.checks
    ):
        _remove_refuted(bundle, folder)
    # By name, not through `stored_certificates`, which lists a limited number of files.
    earlier = [
        path
        for path in folder.glob("*.json")
        if path == main or path.name.startswith(f"{stem}.")
    ]
    stale = set(earlier)
    for stored in _read_all(earlier, bundle):
        left = (
            stored.certificate.without(certificate.places)
            if stored.passed and stored.certificate
            else None
        )
        if left is not None and left.cells:
            beside = folder / f"{stem}.{_places_stem(left)}.json"
            _write(beside, left)
            stale.discard(beside)
    if certificate.passed:
        _write(main, certificate)
        stale.discard(main)
    for path in stale:
        path.unlink(missing_ok=True)


def _remove_refuted(bundle: Bundle, folder: Path) -> None:
    for stored in _read_all(folder.glob("*.json"), bundle):
        if (
            stored.certificate is not None
            and stored.certificate.bundle == bundle.manifest.digest
        ):
            (folder / stored.name).unlink(missing_ok=True)


def _write(path: Path, certificate: Certificate) -> None:
    with atomic_file(path, force=True) as temporary:
        temporary.write_bytes(canonical_json(certificate.to_json()))


def plain_name(name: str) -> str:
    """Return the name as a part of a file name.

    >>> plain_name("line 7/b")
    'line-7-b'
    """
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:64]


def _places_stem(certificate: Certificate) -> str:
    """Format the runtimes and precisions of a certificate as part of a file name."""
    return plain_name(
        "_".join("-".join(place) for place in sorted(certificate.places))
    )


def _read(path: Path, bundle: Bundle) -> StoredCertificate | None:
    """Read a certificate; None if another process removed the file after it was listed."""
    try:
        content = read_json(path, _BYTES)
        if content.get("schema_version") == 1:
            return StoredCertificate(path.name, None, _OLD_SCHEMA)
        certificate = Certificate.from_json(content)
    except NotPlainError:
        return StoredCertificate(path.name, None, "no plain file")
    except FileNotFoundError:
        return None
    except (OSError, JsonError) as error:
        return StoredCertificate(
            path.name, None, f"not a certificate ({_reason(error)})"
        )
    return StoredCertificate(
        path.name, certificate, next(_objections(certificate, bundle), "")
    )


def _objections(certificate: Certificate, bundle: Bundle) -> Iterator[str]:
    """Yield the reasons why a certificate does not match the bundle's current state."""
    manifest = bundle.manifest
    if certificate.bundle != manifest.digest:
        yield "its digest is another bundle's"
    for name, digest in certificate.about.graphs.items():
        if name not in manifest.files or manifest.files[name].sha256 != digest:
            yield f"it was made with another {name[:80]}"
    if certificate.about.golden != digest_of_golden(manifest):
        yield "it was made with other golden frames"
    if certificate.about.decision != digest_of_decision(bundle.decision):
        yield f"it was proven at threshold {certificate.threshold:.6g}; in force is {bundle.decision.threshold:.6g}"
    if certificate.reference in ORIGINALS and set(
        certificate.stage_names
    ) != set(manifest.stages):
        yield "it names other stages"
    if (certificate.threshold, certificate.scale) != (
        bundle.decision.threshold,
        bundle.decision.scale,
    ):
        yield "it states another threshold or scale than the decision in force"
    if any(
        (cell.map_error is not None) != manifest.has_map
        for cell in certificate.cells
    ):
        yield "it compares other outputs"
    for runtime, precision in sorted(certificate.places):
        variant = manifest.variants.get(variant_of(precision))
        if (
            variant is None
            or not {variant.find(format=kind) for kind in FORMATS}
            & certificate.about.graphs.keys()
        ):
            yield f"it names no graph that {runtime[:40]} ran in {precision[:40]}"
        if precision not in certificate.tolerances:
            yield f"it states no tolerances of {precision[:40]}"
    for precision, tolerance in certificate.tolerances.items():
        widest = (
            TOLERANCES[precision].widened(certificate.widened)
            if precision in TOLERANCES
            else None
        )
        if widest is None or any(
            value > getattr(widest, name) for name, value in tolerance
        ):
            yield f"its tolerances of {precision[:40]} are wider than this release's"


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
