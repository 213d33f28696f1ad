"""Certificates stored in a bundle: untrusted records, not covered by any hash or signature.

The verdict is recomputed from the rows, and rows that an honest proof writes must be there. A certificate whose digests do
not match the bundle's current state is shown as not about this bundle. Texts of a file are shown escaped and as the file's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from anomedge.bundle import CERTIFICATES, Bundle, Manifest
from anomedge.files import JsonError, NotPlainError, read_json
from anomedge.names import ascii_only, printable
from anomedge.parity.certificate import SCHEMA, Certificate
from anomedge.parity.completeness import missing_parts
from anomedge.parity.notes import notes_on
from anomedge.parity.reference import GOLDEN, ORIGINALS
from anomedge.parity.subject import digest_of_decision, digest_of_golden
from anomedge.parity.tolerances import TOLERANCES
from anomedge.runtimes import variant_of
from anomedge.threshold import Decision

__all__ = [
    "HOST",
    "StoredCertificate",
    "read_certificates",
    "stored_certificates",
    "vouching_certificate",
]

HOST = "host"
"""Name of eager Torch's certificate, reserved for proofs with a model."""

_BYTES = 1 << 20
_MOST_FILES, _MOST_BYTES = 1000, 16 << 20
"""Bounds of the certificates that are read; more are counted and never pass."""
_MOST_NOTES, _MOST_MISSING, _LONGEST = 3, 100, 160
_OLD_SCHEMA = "made by an older release, which stated less: run anomedge verify"


@dataclass(frozen=True)
class StoredCertificate:
    """A file below `certificates/`: its certificate, if readable, and its faults.

    Attributes:
        name: of the file; or a text that counts files that were not read.
        certificate: as it is in the file; None if it is not readable.
        objection: why it does not apply to this bundle and its decision in force; empty if it does.
        outdated: whether it is about this bundle, and only the decision in force has changed since.
        missing: parts of a proof that it lacks, one line each.
        cautions: reasons why it is weak evidence, from the bundle; notes of the file are marked as such.
        unread: number of files that this entry stands for, none of which was read.
    """

    name: str
    certificate: Certificate | None
    objection: str = ""
    missing: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    unread: int = 0
    outdated: bool = False

    @property
    def shown_name(self) -> str:
        """The name in ASCII: letters of other scripts look like those of `host.json`."""
        return ascii_only(self.name)

    @property
    def batches(self) -> tuple[int, ...]:
        """The batch sizes of its cells, in order."""
        cells = self.certificate.cells if self.certificate is not None else ()
        return tuple(sorted({cell.batch for cell in cells}))

    @property
    def passed(self) -> bool | None:
        """The verdict from the certificate's rows; None if it has an objection, False if it was not read."""
        if self.unread:
            return False
        if self.certificate is None or self.objection:
            return None
        return self.certificate.passed and not self.missing

    @property
    def verdict(self) -> str:
        """The verdict in words, as one line without control characters."""
        return printable(self._verdict())

    def _verdict(self) -> str:
        if self.unread:
            return f"NOT READ: {self.objection}"
        if self.outdated:
            return f"{self.objection}: run anomedge verify again"
        if self.certificate is None or self.objection:
            ignored = self.certificate is None
            reason = "ignored" if ignored else "not about this bundle"
            return f"{reason}: {self.objection}"
        if self.passed:
            return "; ".join(["passed", *self.cautions])
        failed = self.certificate.failed_rows
        missing = self.missing or self.certificate.missing_rows
        faults = [*failed, *(f"incomplete: {part}" for part in missing)]
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        return f"FAILED: {faults[0][: 2 * _LONGEST]}{more}"


def stored_certificates(bundle: Bundle) -> list[StoredCertificate]:
    """Read the certificates of the bundle, eager Torch's first, then by name.

    Up to a thousand files of 16 MiB together are read. If there are more, a last entry counts them; it has not passed.
    """
    folder = bundle.path / CERTIFICATES
    if folder.is_symlink() or not folder.is_dir():
        return []
    paths = sorted(
        folder.glob("*.json"),
        key=lambda path: (path.stem.partition(".")[0] != HOST, path.name),
    )
    count = _count_within_bounds(paths)
    found = read_certificates(paths[:count], bundle)
    vouching = _vouching(found, bundle.manifest)
    shown = [_with_cautions(one, bundle.manifest, vouching) for one in found]
    unread = len(paths) - count
    return [*shown, *([_unread(unread)] if unread else [])]


def _count_within_bounds(paths: Sequence[Path]) -> int:
    """Return how many of the first files are read."""
    total = 0
    for count, path in enumerate(paths[:_MOST_FILES]):
        try:
            # `read_json` refuses larger files without reading them.
            total += min(path.lstat().st_size, _BYTES)
        except OSError:  # removed since it was listed
            continue
        if total > _MOST_BYTES:
            return count
    return min(len(paths), _MOST_FILES)


def _unread(count: int) -> StoredCertificate:
    certificates = "certificate was" if count == 1 else "certificates were"
    return StoredCertificate(
        name=f"{count} more",
        certificate=None,
        objection=f"{count} more {certificates} not read, and may have failed: remove files from {CERTIFICATES}/",
        unread=count,
    )


def read_certificates(
    paths: Iterable[Path], bundle: Bundle
) -> list[StoredCertificate]:
    """Read certificates about a bundle; files that were removed meanwhile are left out."""
    found = (_read(path, bundle) for path in paths)
    return [stored for stored in found if stored is not None]


def vouching_certificate(bundle: Bundle) -> str:
    """Return the name of a passing eager Torch certificate for the bundle's golden frames; empty if there is none.

    Local thresholds are ignored: they do not change golden scores, and a proof beside one has its blends at the export's
    threshold as well, and judges the labels there.
    """
    return _vouching(stored_certificates(bundle), bundle.manifest)


def _vouching(found: Iterable[StoredCertificate], manifest: Manifest) -> str:
    for stored in found:
        proof = stored.certificate
        if (
            proof is not None
            and proof.reference != GOLDEN
            and proof.reference in ORIGINALS
            and proof.passed
            and not next(_objections_to_subject(proof, manifest), "")
            and not next(missing_parts(proof, manifest), "")
        ):
            return stored.shown_name
    return ""


def _with_cautions(
    stored: StoredCertificate, manifest: Manifest, vouching: str
) -> StoredCertificate:
    """Add the cautions; those on the bundle are made again, because a file may leave them out."""
    proof = stored.certificate
    if proof is None or stored.objection:
        return stored
    own = tuple(notes_on(manifest, proof.places, proof.about.model))
    notes = [note for note in proof.notes if note not in own]
    given = tuple(
        f"note of the file: {_quoted(n)}" for n in notes[:_MOST_NOTES]
    )
    if len(notes) > _MOST_NOTES:
        given += (f"{len(notes) - _MOST_NOTES} more notes of the file",)
    judged = proof.model_copy(
        update={"notes": (*own, *given), "vouched_by": vouching}
    )
    return replace(stored, cautions=judged.cautions)


def _quoted(note: str) -> str:
    cut = note if len(note) <= _LONGEST else f"{note[:_LONGEST]}..."
    return '"' + printable(cut).replace('"', "'") + '"'


def _read(path: Path, bundle: Bundle) -> StoredCertificate | None:
    """Read a certificate; None if another process removed the file after it was listed."""
    try:
        content = read_json(path, _BYTES)
        version = content.get("schema_version")
        if type(version) is int and 1 <= version < SCHEMA:
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
    outdated = ""
    objection = next(_objections_to_subject(certificate, bundle.manifest), "")
    if not objection:
        outdated = _other_decision(certificate, bundle.decision)
        objection = outdated or _contradiction(certificate, bundle.decision)
    parts = missing_parts(certificate, bundle.manifest)
    missing = iter(()) if objection else parts
    shown = tuple(islice(missing, _MOST_MISSING))
    return StoredCertificate(
        path.name, certificate, objection, shown, outdated=bool(outdated)
    )


def _other_decision(certificate: Certificate, decision: Decision) -> str:
    """Return an objection if it was proven at another decision than the one in force; otherwise an empty text."""
    if certificate.about.decision == digest_of_decision(decision):
        return ""
    values = f"{certificate.threshold:.6g}; in force {decision.threshold:.6g}"
    if certificate.threshold == decision.threshold:
        values = "of pixels, or another range of values shown"
    return f"proven at another threshold ({values})"


def _contradiction(certificate: Certificate, decision: Decision) -> str:
    """Return an objection if the threshold or the scale is not that of the decision in force; otherwise an empty text."""
    stated = (certificate.threshold, certificate.scale)
    if stated == (decision.threshold, decision.scale):
        return ""
    return "it states another threshold or scale than the decision in force"


def _objections_to_subject(
    certificate: Certificate, manifest: Manifest
) -> Iterator[str]:
    """Yield the reasons why a certificate does not match the bundle, whatever the decision in force."""
    if certificate.bundle != manifest.digest:
        yield "its digest is another bundle's"
    for name, digest in certificate.about.graphs.items():
        if name not in manifest.files or manifest.files[name].sha256 != digest:
            yield f"it was made with another {name[:80]}"
    if certificate.about.golden != digest_of_golden(manifest):
        yield "it was made with other golden frames"
    if certificate.reference in ORIGINALS and set(
        certificate.stage_names
    ) != set(manifest.stages):
        yield "it names other stages"
    compared = {cell.map_error is not None for cell in certificate.cells}
    if compared - {manifest.has_map}:
        yield "it compares other outputs"
    yield from _objections_to_precisions(certificate, manifest)


def _objections_to_precisions(
    certificate: Certificate, manifest: Manifest
) -> Iterator[str]:
    for precision in sorted({p for _, p in certificate.places}):
        if variant_of(precision) not in manifest.variants:
            yield f"the bundle has no variant {precision[:40]}"
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
