"""Keep a new certificate in a bundle, and the rows of earlier ones of its name that it does not replace."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from anomedge.bundle import CERTIFICATES, Bundle, assert_in_place
from anomedge.files import atomic_file, canonical_json
from anomedge.parity.certificate import Certificate
from anomedge.parity.records import BUNDLE
from anomedge.parity.stored import StoredCertificate, read_certificates

__all__ = ["keep_certificate", "plain_name"]


def keep_certificate(
    bundle: Bundle, name: str, certificate: Certificate
) -> tuple[str, ...]:
    """Write a certificate if it passed; return one line for each earlier one that is moved, replaced or removed.

    A failed certificate supersedes as well. Rows of other runtimes and precisions move to a separate file, those that
    failed included. A failed check of the bundle itself refutes every certificate about this bundle: all of them are
    removed. A certificate that passed and is replaced by one that passes has no line.

    Raises:
        OSError, OutputError: the bundle cannot be written to, or another one has taken its place since it was opened.
    """
    assert_in_place(bundle)
    folder = bundle.path / CERTIFICATES
    folder.mkdir(exist_ok=True)
    said: list[str] = []
    if any(
        check.runtime == BUNDLE and not check.passed
        for check in certificate.checks
    ):
        said += _remove_refuted(bundle, folder)
    plan = _plan(bundle, folder, plain_name(name), certificate)
    for path, left in plan.kept.items():
        _write(path, left)
    if certificate.passed:
        _write(plan.main, certificate)
    for path in plan.stale:
        path.unlink(missing_ok=True)
    return (*said, *plan.said)


def plain_name(name: str) -> str:
    """Return the name as a part of a file name.

    >>> plain_name("line 7/b")
    'line-7-b'
    """
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:64]


@dataclass
class _Plan:
    """Files to write and to remove beside the new certificate, `main`."""

    main: Path
    kept: dict[Path, Certificate] = field(default_factory=dict)
    stale: set[Path] = field(default_factory=set)
    said: list[str] = field(default_factory=list)


def _plan(
    bundle: Bundle, folder: Path, stem: str, certificate: Certificate
) -> _Plan:
    plan = _Plan(main=folder / f"{stem}.json")
    # By name, not through `stored_certificates`, which reads a limited number of files.
    earlier = [
        path
        for path in sorted(folder.glob("*.json"))
        if path == plan.main or path.name.startswith(f"{stem}.")
    ]
    plan.stale = set(earlier)
    for stored in read_certificates(earlier, bundle):
        left, moved = _left(stored, certificate), None
        if left is not None:
            path = _free(folder, stem, left, plan.kept)
            plan.kept[path], moved = left, path.name
        plan.said += _line(stored, certificate, moved)
    plan.stale -= {*plan.kept, *([plan.main] if certificate.passed else [])}
    return plan


def _left(
    stored: StoredCertificate, certificate: Certificate
) -> Certificate | None:
    """Return the rows of an earlier certificate that a new one does not replace; None without any."""
    if stored.certificate is None or stored.objection:
        return None
    left = stored.certificate.without(certificate.places)
    return left if left.places_of_rows else None


def _free(
    folder: Path, stem: str, left: Certificate, taken: dict[Path, Certificate]
) -> Path:
    """Return a file for rows that are left, which no other rows have taken."""
    places = "_".join("-".join(place) for place in _named(left))
    beside = f"{stem}.{plain_name(places)}"
    path, number = folder / f"{beside}.json", 1
    while path in taken:
        number += 1
        path = folder / f"{beside}-{number}.json"
    return path


def _named(left: Certificate) -> list[tuple[str, str]]:
    """Return the places that name a file; the bundle itself only if there is no other."""
    rows = left.places_of_rows
    return sorted({row for row in rows if row[0] != BUNDLE} or rows)


def _line(
    stored: StoredCertificate, certificate: Certificate, moved: str | None
) -> Iterator[str]:
    """Yield the line on an earlier certificate, unless the new one repeats its verdict or its rows stay where they are."""
    name = stored.shown_name
    if moved == stored.name:
        return
    if moved is not None:
        yield f"{name}: rows of other runtimes are now in {moved}: {stored.verdict}"
    elif stored.passed is not True:
        former = stored.objection if stored.outdated else stored.verdict
        yield f"{name} is replaced; it was {former}"
    elif not certificate.passed:
        yield f"{name} is removed: it passed, and this proof failed"


def _remove_refuted(bundle: Bundle, folder: Path) -> Iterator[str]:
    for stored in read_certificates(sorted(folder.glob("*.json")), bundle):
        if (
            stored.certificate is not None
            and stored.certificate.bundle == bundle.manifest.digest
        ):
            (folder / stored.name).unlink(missing_ok=True)
            yield f"{stored.shown_name} is removed: this proof refutes the bundle; it was {stored.verdict}"


def _write(path: Path, certificate: Certificate) -> None:
    with atomic_file(path, force=True) as temporary:
        temporary.write_bytes(canonical_json(certificate.to_json()))
