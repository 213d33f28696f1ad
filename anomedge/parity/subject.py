"""Digests of the subject of a proof, by which a certificate is matched with a bundle."""

from __future__ import annotations

import hashlib

from anomedge.bundle import Bundle, Manifest
from anomedge.files import canonical_json, sha256_of_bytes
from anomedge.parity.plan import Plan, Reference
from anomedge.parity.rows import Subject
from anomedge.runtimes import get, variant_of
from anomedge.threshold import Decision

__all__ = ["digest_of_decision", "digest_of_golden", "subject_of"]

_GOLDEN = "golden/"


def subject_of(bundle: Bundle, reference: Reference, plan: Plan, frame: tuple[int, int] | None) -> Subject:
    """Compute the digests of all inputs of a verdict on this bundle.

    Args:
        bundle: the bundle proven.
        reference: the original's outputs and the pictures, which are read again.
        plan: runtimes and options of the copies.
        frame: (height, width) of the frames, in pixels; None if nothing ran.
    """
    return Subject(
        graphs=_graphs(bundle, plan),
        golden=digest_of_golden(bundle.manifest),
        decision=digest_of_decision(reference.decision_in_force(bundle)),
        pictures=_digest_of_pictures(reference, frame),
        model=reference.original.digest if reference.original else None,
    )


def digest_of_decision(decision: Decision) -> str:
    """Compute the SHA-256 of a decision: thresholds, scale, normalisation and origin."""
    return sha256_of_bytes(canonical_json(decision.model_dump(mode="json")))


def digest_of_golden(manifest: Manifest) -> str:
    """Compute the SHA-256 of the golden entries of the manifest and of their files."""
    files = {name: record.sha256 for name, record in manifest.files.items() if name.startswith(_GOLDEN)}
    entries = [entry.model_dump(mode="json") for entry in manifest.golden]
    return sha256_of_bytes(canonical_json({"entries": entries, "files": files}))


def _digest_of_pictures(reference: Reference, frame: tuple[int, int] | None) -> str:
    digest = hashlib.sha256()
    for picture in reference.pictures:
        pixels = picture.frame(frame)
        digest.update(hashlib.sha256(repr(picture.name).encode("utf-8", "backslashreplace")).digest())
        digest.update(hashlib.sha256(pixels.tobytes()).digest())
    return digest.hexdigest()


def _graphs(bundle: Bundle, plan: Plan) -> dict[str, str]:
    """Return the digest of every file that the plan's runtimes open, by name."""
    variant, files = bundle.variant(variant_of(plan.precision)), bundle.manifest.files
    given: set[str] = set()
    for runtime in plan.runtimes:
        kind = get(runtime)
        given |= {kind.file_of(variant, plan.options()), kind.file_of(variant, plan.options(stages=True))}
    if any(name.endswith(".onnx") for name in given):
        given |= {variant.onnx, f"{variant.onnx}.data"}  # the graph with stages reads the weights of the main graph
    given |= {name.removesuffix(".xml") + ".bin" for name in given if name.endswith(".xml")}
    return {name: files[name].sha256 for name in sorted(given & files.keys())}
